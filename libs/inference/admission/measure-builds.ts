/**
 * Measures an optimised build and its parent side by side in one child process: their answers for the same users, the
 * cost of an answer, and whether the build's rows must be inferred alone. Other load slows down alternating runs in one
 * process equally, so the ratio is reliable even if the times are not.
 */
import { isTandemError, TandemError } from '@tandem/freshness/errors';
import type { FeatureBatch } from '@tandem/freshness/features';
import type { ModelDefinition } from '@tandem/freshness/predictor';
import { InferenceProcess, START_LIMIT } from '../process/inference-process.ts';
import { cpuLimit } from '../process/time-limit.ts';
import { asRefusal, takesHalves } from './check-model.ts';
import { comparePaces } from './paces.ts';
import { type Answer, createComparison, toleranceOf } from './parity.ts';
import { createWidthCheck } from './signature.ts';
import { createTrialRuns, type TrialRuns } from './trial-runs.ts';

interface MeasuredVersion {
  readonly definition: ModelDefinition;
  /** The bytes of the file. The child checks their hash. */
  readonly bytes: Uint8Array;
  /** The same users in the same order on both sides, all without faults. */
  readonly batch: FeatureBatch;
}

/** Whether users get the same answers in a batch and alone. */
interface RowParity {
  /** Whether all answers are equal; null if there were fewer than two users to try. */
  readonly rowsAgree: boolean | null;
  /**
   * The largest absolute difference of any output; null if there is none, or if the model takes only one user at a
   * time.
   */
  readonly largestDifference: number | null;
}

export interface SideFigures {
  readonly answers: readonly Answer[];
  readonly parity: RowParity;
  /** The number of users without a usable answer on this side. */
  readonly refused: number;
}

interface MeasureLimits {
  readonly memoryLimitMb: number;
  /** Milliseconds for the answers, and the same again for the paces. A slow model gets fewer users or rounds. */
  readonly answersMs?: number;
  readonly pacesMs?: number;
}

/** The users of a run, which is the most that a live run has. */
const TOGETHER = 256;
const PARITY_USERS = 64;
/** Limits of CPU time: of a load or a run, and of all runs of a side. */
const RUN_LIMIT = cpuLimit(10_000);
const TOTAL_LIMIT = cpuLimit(60_000);
const FIELD = 'version';

/**
 * Measures both sides. Rejects with `model_refused` if a model cannot be loaded or run, `overloaded` if the machine was
 * too busy, and `features_unusable` if no user got two answers.
 */
export async function measureBuilds(
  parent: MeasuredVersion,
  build: MeasuredVersion,
  { memoryLimitMb, answersMs = 10_000, pacesMs = 8_000 }: MeasureLimits,
) {
  const process = new InferenceProcess({ memoryLimitMb, boundData: true, startLimit: START_LIMIT });
  try {
    await process.ready;
    const sides = [await open(process, 'parent', parent), await open(process, 'build', build)] as const;
    const answered = await answerAll(sides, parent.batch.userIds.length, answersMs);
    const [first, second] = sides;
    const parity = [await compareRows(first, answered.rows), await compareRows(second, answered.rows)] as const;
    const paces = await comparePaces([first.runs, second.runs], answered.rows, {
      together: TOGETHER,
      budgetMs: pacesMs,
    });
    return {
      /** Rows of the batches that both sides answered. The answers are in this order. */
      rows: answered.rows,
      parent: { answers: answered.answers[0], refused: answered.refused[0], parity: parity[0] },
      build: { answers: answered.answers[1], refused: answered.refused[1], parity: parity[1] },
      paces,
    };
  } catch (error) {
    if (isTandemError(error, 'features_unusable')) throw error;
    throw asRefusal(error, 'a comparison', { field: FIELD, memoryLimitMb });
  } finally {
    process.kill('the comparison is over');
    await process.ended;
  }
}

interface Side {
  readonly definition: ModelDefinition;
  readonly runs: TrialRuns;
  /** The runs of the version without the pin to one row at a time. */
  readonly unpinned: TrialRuns;
  readonly tolerance: number;
}

async function open(process: InferenceProcess, session: string, version: MeasuredVersion): Promise<Side> {
  const { definition, bytes, batch } = version;
  const { signature } = await process.load({ session, bytes, sha256: definition.artifactHash }, RUN_LIMIT);
  const runsOf = (rowByRow: boolean) =>
    createTrialRuns({
      ...{ process, session, batch, field: FIELD },
      definition: { ...definition, rowByRow },
      checkWidths: createWidthCheck(definition, signature, new Set()),
      limits: { run: RUN_LIMIT, total: TOTAL_LIMIT },
    });
  const { rowByRow = false } = definition;
  return {
    definition,
    runs: runsOf(rowByRow),
    unpinned: runsOf(false),
    tolerance: toleranceOf({ ...definition, rowByRow: false }, takesHalves(definition, signature)),
  };
}

interface Answered {
  readonly rows: number[];
  readonly answers: readonly [Answer[], Answer[]];
  readonly refused: readonly [number, number];
}

async function answerAll(sides: readonly [Side, Side], users: number, answersMs: number): Promise<Answered> {
  const answered: Answered = { rows: [], answers: [[], []], refused: [0, 0] };
  const refused: [number, number] = [0, 0];
  let why = '';
  const begin = performance.now();
  for (let from = 0; from < users && performance.now() - begin < answersMs; from += TOGETHER) {
    const rows = Array.from({ length: Math.min(TOGETHER, users - from) }, (_, i) => from + i);
    const [parent, build] = [await answersOf(sides[0].runs, rows), await answersOf(sides[1].runs, rows)];
    rows.forEach((row, i) => {
      const [a, b] = [parent[i], build[i]];
      if (typeof a === 'string') refused[0]++;
      if (typeof b === 'string') refused[1]++;
      if (a === undefined || b === undefined || typeof a === 'string' || typeof b === 'string') {
        why ||= [a, b].find((one) => typeof one === 'string') ?? '';
        return;
      }
      answered.rows.push(row);
      answered.answers[0].push(a);
      answered.answers[1].push(b);
    });
  }
  if (answered.rows.length === 0) throw nobodyAnswered(why);
  return { ...answered, refused };
}

/**
 * Returns the answer of each user, or the reason why there is none. If the model rejects all users together, each user
 * is inferred alone.
 */
async function answersOf(runs: TrialRuns, rows: readonly number[]): Promise<readonly (Answer | string)[]> {
  const run = await runs.ask(rows);
  if (run.fault === null) return run.answers;
  if (rows.length === 1) return [run.fault];
  const each: (Answer | string)[] = [];
  for (const row of rows) each.push(...(await answersOf(runs, [row])));
  return each;
}

/** Measures the parity of a few users as a trial does, whether or not the version is pinned to one row at a time. */
async function compareRows({ unpinned, definition, tolerance }: Side, answered: readonly number[]): Promise<RowParity> {
  const rows = answered.slice(0, PARITY_USERS);
  if (rows.length < 2) return { rowsAgree: null, largestDifference: null };
  const alone: Answer[] = [];
  for (const row of rows) {
    const run = await unpinned.ask([row]);
    if (run.fault === null) alone.push(...run.answers);
  }
  const together = await unpinned.ask(rows);
  if (together.fault !== null || alone.length < rows.length) return { rowsAgree: false, largestDifference: null };
  const comparison = createComparison(definition.outputs, alone, tolerance);
  const differences = rows.flatMap((row, i) => {
    const found = comparison.differenceOf(`${row}`, alone[i] ?? [], together.answers[i] ?? []);
    return found === null ? [] : [found];
  });
  const largest = differences.reduce((most, { difference }) => Math.max(most, difference), 0);
  return {
    rowsAgree: differences.every(({ ofAllowed }) => ofAllowed <= 1),
    largestDifference: largest === 0 || !Number.isFinite(largest) ? null : largest,
  };
}

function nobodyAnswered(why: string): TandemError {
  return new TandemError(
    'features_unusable',
    `No user got an answer from both model versions: ${why || 'there were no users'}.`,
    {
      field: FIELD,
      remedy: 'run both files in Python with these rows; or fix the query, or set features.nulls',
    },
  );
}
