/**
 * Keeps answers with their inputs, for a sample of the users. All answers of a sampled user are kept, so that one
 * answer can be followed to the next. Keeping is asynchronous: answers are queued after the reply was made, in a
 * bounded queue, then completed and written in batches. Answers beyond the rate, or that fail, are dropped and counted:
 * kept explanations are declared lossy.
 */
import { BUCKETS, bucketOfUser } from '@tandem/experiment/assignment';
import type { Answer } from '@tandem/freshness/answer';
import type { InferenceInputs } from '@tandem/freshness/live-predictor';
import type { Predictor } from '@tandem/freshness/predictor';
import { WriteBehind } from '@tandem/timing/write-behind';
import { TokenBucket } from '../keys/token-bucket.ts';
import type {
  ExplanationStore,
  ExplanationToKeep,
  InputSource,
  KeptInputs,
  NoInputs,
  ServedAnswer,
} from './kept-explanation.ts';

/**
 * The result for an answer of a sampled user. `kept`; `left_out`: an erasure came first; `over_rate` and `over_line`:
 * beyond the limit a second, or of the queue; `failed`: it could not be written, or not before the process ended.
 */
type KeepOutcome = 'kept' | 'left_out' | 'over_rate' | 'over_line' | 'failed';

export interface KeepDependencies {
  readonly store: Pick<ExplanationStore, 'keep'>;
  readonly inputs: InputSource;
  /** For metrics. */
  counted(predictor: string, outcome: KeepOutcome, answers: number): void;
  /** Called when a batch could not be written. */
  notKept(error: unknown): void;
  /** Milliseconds that only ever rise; for tests. */
  readonly now?: () => number;
  /** Answers a second that this process keeps at most. */
  readonly maxPerSecond?: number;
  /** Answers that may wait. */
  readonly maxWaiting?: number;
}

export interface ExplanationKeeper {
  /** An answer was given. Costs next to nothing where none is kept, never throws, and waits for nothing. */
  notice(answer: Answer, predictor: Predictor): void;
  /**
   * Keeps an answer whosever it is, at once. Gives its id; undefined if an erasure has overtaken it. Rejects where it
   * could not be written.
   */
  keepNow(answer: Answer, keepForMs: number): Promise<string | undefined>;
  /** Answers that wait. */
  waiting(): number;
  /** Takes no more, and writes what waits. Begins no write after 5 s, and counts the rest as `failed`. */
  close(): Promise<void>;
}

/** A separate salt, so that the sampled users are no arm of any rollout. */
const SALT = 'kept explanations';
const MAX_PER_SECOND = 50;
const MAX_WAITING = 500;
/** How long answers wait for each other: inputs that are read after the reply should be read soon after it. */
const GATHER_MS = 50;
const AT_ONCE = 100;

interface Waiting {
  readonly answer: ServedAnswer;
  readonly inputs: InferenceInputs | undefined;
  readonly at: number;
  readonly keepForMs: number;
}

/** Whether all answers of a user are among those that are kept. */
export function isKept(share: number, userId: string): boolean {
  return bucketOfUser(SALT, userId) < share * BUCKETS;
}

export function createExplanationKeeper(dependencies: KeepDependencies): ExplanationKeeper {
  const { counted, notKept, now = () => performance.now() } = dependencies;
  const { maxPerSecond = MAX_PER_SECOND, maxWaiting = MAX_WAITING } = dependencies;
  const rate = new TokenBucket(maxPerSecond, now);
  const line = new WriteBehind<Waiting>({
    maxWaiting,
    batch: AT_ONCE,
    flushMs: GATHER_MS,
    onFailure: 'drop',
    onDrop: (some) => {
      for (const { answer } of some) counted(answer.predictor, 'failed', 1);
    },
    async write(some) {
      const explanations = await complete(some);
      for (const [predictor, of] of Map.groupBy(explanations, ({ answer }) => answer.predictor)) {
        await keepOf(predictor, of);
      }
    },
  });

  async function complete(some: readonly Waiting[]): Promise<ExplanationToKeep[]> {
    const inputs = await completeInputs(dependencies.inputs, some);
    return some.map(({ answer, at, keepForMs }, i) => ({
      ...{ answer, keepForMs, inputs: inputs[i] as KeptInputs | NoInputs },
      ageMs: now() - at,
    }));
  }

  function waitingOf(answer: Answer, keepForMs: number): Waiting {
    return { answer: asServed(answer), inputs: answer.inputs, at: now(), keepForMs };
  }

  async function keepOf(predictor: string, explanations: readonly ExplanationToKeep[]): Promise<void> {
    try {
      const kept = (await dependencies.store.keep(explanations)).length;
      if (kept > 0) counted(predictor, 'kept', kept);
      if (kept < explanations.length) counted(predictor, 'left_out', explanations.length - kept);
    } catch (error) {
      counted(predictor, 'failed', explanations.length);
      notKept(error);
    }
  }

  return {
    notice(answer, { policy }) {
      const { explanations } = policy;
      if (explanations === undefined || !isKept(explanations.share, answer.userId)) return;
      if (line.size >= maxWaiting) return counted(answer.predictor, 'over_line', 1);
      if (rate.take(1) === 0) return counted(answer.predictor, 'over_rate', 1);
      line.add(waitingOf(answer, explanations.keepForMs));
    },
    async keepNow(answer, keepForMs) {
      const [id] = await dependencies.store.keep(await complete([waitingOf(answer, keepForMs)]));
      return id;
    },
    waiting: () => line.size,
    close: () => line.close(),
  };
}

/** Returns the answer without fields that only this process uses. */
function asServed(answer: Answer): ServedAnswer {
  const { predictor, userId, prediction, source, reason, modelNumber, variant, generationNumber } = answer;
  const { computedAt, ageSeconds, contextVersion, lastConcerningVersion, predictedFromContextVersion, history } =
    answer;
  return {
    ...{ predictor, userId, prediction, source, reason, modelNumber, variant, generationNumber },
    ...{ computedAt, ageSeconds, contextVersion, lastConcerningVersion, predictedFromContextVersion, history },
  };
}

/** Adds the inputs of each: those of its inference, else the current ones, by one statement for each model version. */
async function completeInputs(source: InputSource, some: readonly Waiting[]): Promise<(KeptInputs | NoInputs)[]> {
  const lacking = some.filter(({ inputs }) => inputs === undefined).map(({ answer }) => answer);
  const read = new Map<ServedAnswer, KeptInputs | NoInputs>();
  const groups = Map.groupBy(lacking, ({ predictor, modelNumber }) => `${modelNumber} ${predictor}`);
  for (const answers of groups.values()) {
    const found = await readNow(source, answers).catch(() => null);
    for (const answer of answers) read.set(answer, found ? (found.get(answer.userId) ?? 'no_row') : 'not_read');
  }
  return some.map(({ answer, inputs }) =>
    inputs ? inputsOfRow(inputs, 'for_the_answer') : (read.get(answer) ?? 'not_read'),
  );
}

async function readNow(source: InputSource, answers: readonly ServedAnswer[]) {
  const [first] = answers as [ServedAnswer];
  const version = await source.versionOf(first.predictor, first.modelNumber);
  return source.readInputs(version, [...new Set(answers.map(({ userId }) => userId))]);
}

// One user's inputs out of the features that were read of several.

export function inputsOfRow({ batch, row }: InferenceInputs, read: KeptInputs['read']): KeptInputs {
  const sent = batch.sent?.get(row) ?? {};
  const events = new Map(batch.fromEvents?.get(row)?.map(({ column, entry }) => [column, entry]));
  return {
    read,
    readAt: batch.readAt,
    history: batch.history,
    contextVersion: batch.contextVersions[row] ?? 0,
    features: batch.columns.map(({ name }, i) => {
      const entry = events.get(i);
      const event = entry ? { source: entry.source, id: entry.id, time: entry.time, accepted: entry.accepted } : null;
      const value = batch.values[i]?.[row] ?? null;
      if (i < (batch.requestFrom ?? batch.columns.length)) return { name, value, event };
      return { name, value, event, request: Object.hasOwn(sent, name) ? 'sent' : 'default' };
    }),
    fault: batch.faults.get(row) ?? null,
  };
}
