/**
 * Keeps answers with their inputs, for a sample of the users. All answers of a sampled user are kept, so that one
 * answer can be followed to the next. Keeping is asynchronous: answers are queued after the reply was made, in a
 * bounded queue, then completed and written in batches. Answers beyond the rate and answers that cannot be written are
 * dropped and counted: kept explanations are declared lossy.
 */

import type { Answer } from '@tandem/freshness/answer';
import { BUCKETS, bucketOfUser } from '@tandem/freshness/assignment';
import type { InferenceInputs } from '@tandem/freshness/live-predictor';
import type { Predictor } from '@tandem/freshness/predictor';
import { WriteBehind } from '@tandem/timing/write-behind';
import { TokenBucket } from '../keys/token-bucket.ts';
import {
  asServed,
  type ExplanationStore,
  type ExplanationToKeep,
  type InputSource,
  type KeptInputs,
  type NoInputs,
  type ServedAnswer,
} from './kept-explanation.ts';

/**
 * The result for an answer of a sampled user. `kept`: it was stored. `left_out`: the user was erased before.
 * `over_rate` and `over_line`: it exceeded the rate a second, or the queue. `failed`: it could not be written, or not
 * before the process ended.
 */
type KeepOutcome = 'kept' | 'left_out' | 'over_rate' | 'over_line' | 'failed';

export interface KeepDependencies {
  readonly store: Pick<ExplanationStore, 'keep'>;
  readonly inputs: InputSource;
  /** Receives counts of results, for metrics. */
  counted(predictor: string, outcome: KeepOutcome, answers: number): void;
  /** Called when a batch could not be written. */
  notKept(error: unknown): void;
  /** A clock in milliseconds that only rises; for tests. */
  readonly now?: () => number;
  /** The maximum number of answers that this process keeps a second. */
  readonly maxPerSecond?: number;
  /** The maximum number of waiting answers. */
  readonly maxWaiting?: number;
}

/** A separate salt, so that the sampled users do not coincide with the arm of a rollout. */
const SALT = 'kept explanations';
const MAX_PER_SECOND = 50;
const MAX_WAITING = 500;
/** How long answers wait for each other. It is short, since inputs should be read soon after the reply. */
const GATHER_MS = 50;
const AT_ONCE = 100;

interface Waiting {
  readonly answer: ServedAnswer;
  readonly inputs: InferenceInputs | undefined;
  readonly at: number;
  readonly keepForMs: number;
}

/** Returns whether a user is sampled, so that all the user's answers are kept. */
export function isKept(share: number, userId: string): boolean {
  return bucketOfUser(SALT, userId) < share * BUCKETS;
}

export type ExplanationKeeper = ReturnType<typeof createExplanationKeeper>;

export function createExplanationKeeper(dependencies: KeepDependencies) {
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
    /** Queues a given answer if its user is sampled. It never throws and never waits. */
    notice(answer: Answer, { policy }: Predictor) {
      const { explanations } = policy;
      if (explanations === undefined || !isKept(explanations.share, answer.userId)) return;
      if (line.size >= maxWaiting) return counted(answer.predictor, 'over_line', 1);
      if (rate.take(1) === 0) return counted(answer.predictor, 'over_rate', 1);
      line.add(waitingOf(answer, explanations.keepForMs));
    },
    /**
     * Keeps an answer of any user immediately. Returns its id; undefined if the user was erased since. Rejects if it
     * could not be written.
     */
    async keepNow(answer: Answer, keepForMs: number): Promise<string | undefined> {
      const [id] = await dependencies.store.keep(await complete([waitingOf(answer, keepForMs)]));
      return id;
    },
    /** Returns the number of waiting answers. */
    waiting: (): number => line.size,
    /**
     * Accepts no further answers, and writes the waiting answers. Begins no write after 5 s; the rest counts as
     * `failed`.
     */
    close: (): Promise<void> => line.close(),
  };
}

/**
 * Returns the inputs of each answer: those of its inference, else the current ones, with one statement for each model
 * version.
 */
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

// Returns one user's inputs from the features that were read for several users.

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
