/**
 * The trial of a model: users alone, alone again, and together in batches of several sizes and orders. It ends with a
 * certificate that each of them got one finite answer, the same in any company, and with what an answer costs; or with
 * the sentence that says what was seen instead.
 */
import { isTandemError, TandemError } from '@tandem/freshness/errors';
import type { FeatureBatch } from '@tandem/freshness/features';
import type { ModelDefinition } from '@tandem/freshness/predictor';
import type { AnswerDifference, AnswerValue, ParityCertificate } from '@tandem/prediction/models/verification';
import { type Answer, type Comparison, createComparison } from './parity.ts';
import { refuse } from './signature.ts';
import type { RunTime, TrialRun, TrialRuns } from './trial-runs.ts';

/** Measured in the child, on the trial's users. */
export interface TrialCost {
  /** Milliseconds of a run for one user, the median. */
  readonly aloneMs: number;
  /** Microseconds a user in the largest batch that was tried. */
  readonly perUserUs: number;
  /** Users in that batch. */
  readonly batchSize: number;
}

export interface TrialResult {
  readonly parity: ParityCertificate;
  readonly cost: TrialCost;
}

/** A user's rows in a trial's batch. */
interface ReadBothWays {
  /** The row with the features of a live read. */
  readonly live: number;
  /** The row with the features of a run. */
  readonly run: number;
}

export interface TrialOptions {
  readonly definition: ModelDefinition;
  readonly batch: FeatureBatch;
  /** This many first users of the batch are real. */
  readonly realUsers: number;
  /** This many first rows are tried alone; the others are those of `bothWays`, as a run reads them. */
  readonly users: number;
  readonly bothWays: readonly ReadBothWays[];
  readonly tolerance: number;
  /** CPU time of all runs together; a slow model is tried with fewer users. */
  readonly totalCpuMs: number;
  /** The model's field in the config. */
  readonly field: string;
}

/** Users that go together in the mixes of the second half. */
const MIX_SIZES = [2, 3, 7];
/** A batch such as runs are made of, for its cost and because kernels change their algorithm with the size. */
const LARGE_BATCH = 1_024;
/** Values that the large batch may have in all: a model of wide outputs is tried with fewer users. */
const LARGE_VALUES = 1 << 20;
/** The share of the trial's CPU time that the runs which must be made may take by the first run's measure. */
const PLANNED_SHARE = 0.5;
/** Two users can be mixed up; one cannot. */
const LEAST_USERS = 2;
/** How far answers may lie apart where features were read twice: what a clock in the query moves between the two. */
const READ_TOLERANCE = 1e-3;

interface Tried {
  /** Rows of the batch that have an answer. */
  readonly rows: readonly number[];
  /** Row → what it was alone. */
  readonly alone: ReadonlyMap<number, Answer>;
  readonly refused: ReadonlyMap<number, string>;
  /** Times of the runs for one user. */
  readonly times: readonly RunTime[];
}

/** Throws `model_refused`, or ProcessEnded where the model took its process with it. */
export async function tryModel(runs: TrialRuns, options: TrialOptions): Promise<TrialResult> {
  try {
    const tried = await tryAlone(runs, options);
    const comparison = createComparison(options.definition.outputs, [...tried.alone.values()], options.tolerance);
    const seen = createSeen(options, tried, comparison);
    for (const row of tried.rows) seen.compare([row], await askGood(runs, options, [row]), 'again');
    const cost = await tryTogether(runs, options, tried, seen);
    const readBothWays = await tryBothWays(runs, options, tried);
    return { parity: { ...certify(options, tried, seen), readBothWays }, cost };
  } catch (error) {
    if (!isTandemError(error, 'live_failed')) throw error;
    throw trialFailed(options, '', error.message);
  }
}

/** One user at a time, so that a user the model rejects does not affect others. */
async function tryAlone(runs: TrialRuns, options: TrialOptions): Promise<Tried> {
  const { batch, realUsers, users, totalCpuMs } = options;
  const alone = new Map<number, Answer>();
  const refused = new Map<number, string>();
  const times: RunTime[] = [];
  let wanted = users;
  for (let row = 0; row < users && alone.size < wanted; row++) {
    const fault = batch.faults.get(row);
    const run: TrialRun = fault === undefined ? await runs.ask([row]) : { fault };
    if (run.fault !== null) {
      refused.set(row, run.fault);
      continue;
    }
    const [answer = []] = run.answers;
    alone.set(row, answer);
    times.push(run);
    // Each user costs two runs alone and, in the mixes, a third of one.
    const affordable = (totalCpuMs * PLANNED_SHARE) / Math.min(...times.map(({ cpuMs }) => cpuMs));
    wanted = Math.max(LEAST_USERS, Math.min(users, Math.floor((affordable - 3) / 2.5)));
  }
  const rows = [...alone.keys()];
  const [why] = refused.values();
  const noReal = realUsers > 0 && !rows.some((row) => row < realUsers);
  if (rows.length === 0 || noReal) {
    const who = noReal && rows.length > 0 ? ', with each real user' : ', with every user';
    throw trialFailed(options, who, why ?? 'there is no user to try');
  }
  return { rows, alone, refused, times };
}

/** All together, in other mixes, all again in reverse, and as many as a run has. Returns what a user cost there. */
async function tryTogether(runs: TrialRuns, options: TrialOptions, tried: Tried, seen: Seen): Promise<TrialCost> {
  const { rows, times } = tried;
  const aloneMs = median(times.map(({ ms }) => ms));
  const all = rows.length === 1 ? [...rows, ...rows, ...rows] : rows;
  const together = async (some: readonly number[]) => {
    const run = await askGood(runs, options, some);
    seen.compare(some, run, 'together');
    return run.ms;
  };
  await together(all);
  const ms = await together(all.toReversed());
  const hasTime = () => runs.spentCpuMs() < options.totalCpuMs * PLANNED_SHARE;
  const mixed = shuffle(all);
  for (let at = 0, mix = 0; at < mixed.length && hasTime(); mix++) {
    const size = MIX_SIZES[mix % MIX_SIZES.length] ?? 1;
    await together(mixed.slice(at, at + size));
    at += size;
  }
  const width = tried.alone.get(rows[0] ?? -1)?.length ?? 1;
  const size = Math.max(1, Math.min(LARGE_BATCH, Math.floor(LARGE_VALUES / width)));
  // Its longest time: that of all users one after the other.
  const isAffordable =
    runs.spentCpuMs() + size * median(times.map(({ cpuMs }) => cpuMs)) < options.totalCpuMs * PLANNED_SHARE;
  if (size <= all.length || !isAffordable) {
    return { aloneMs, perUserUs: (ms * 1_000) / all.length, batchSize: all.length };
  }
  const many = Array.from({ length: size }, (_, i) => mixed[i % mixed.length] ?? 0);
  return { aloneMs, perUserUs: ((await together(many)) * 1_000) / size, batchSize: size };
}

/** Tries users whose features a run reads too, as one chunk: the query's result must not depend on its caller. */
async function tryBothWays(runs: TrialRuns, options: TrialOptions, { alone }: Tried): Promise<number> {
  const pairs = options.bothWays.filter(({ live }) => alone.has(live));
  if (pairs.length === 0) return 0;
  const { answers } = await askGood(
    runs,
    options,
    pairs.map(({ run }) => run),
  );
  const tolerance = Math.max(options.tolerance, READ_TOLERANCE);
  const comparison = createComparison(options.definition.outputs, [...alone.values()], tolerance);
  pairs.forEach(({ live }, i) => {
    const userId = options.batch.userIds[live] ?? '';
    const found = comparison.differenceOf(userId, alone.get(live) ?? [], answers[i] ?? []);
    if (found && found.ofAllowed > 1) throw readsDiffer(options, found);
  });
  return pairs.length;
}

interface Seen {
  compare(rows: readonly number[], run: GoodRun, how: 'again' | 'together'): void;
  readonly sizes: Set<number>;
  comparisons(): number;
  largest(): AnswerDifference | null;
}

function createSeen(options: TrialOptions, tried: Tried, comparison: Comparison): Seen {
  const sizes = new Set([1]);
  let comparisons = 0;
  let largest: AnswerDifference | null = null;
  /** Row by row, answers must be equal to the last bit: whether they were, the runs alone show. */
  let sameAlone = true;
  return {
    sizes,
    comparisons: () => comparisons,
    largest: () => largest,
    compare(rows, { answers }, how) {
      sizes.add(rows.length);
      rows.forEach((row, i) => {
        comparisons++;
        const found = comparison.differenceOf(
          options.batch.userIds[row] ?? '',
          tried.alone.get(row) ?? [],
          answers[i] ?? [],
        );
        if (found && how === 'again') sameAlone = false;
        if (found && found.ofAllowed > 1) {
          throw differs(options, found, how === 'again' ? null : { users: rows.length, rowByRowHelps: sameAlone });
        }
        if (found && found.ofAllowed > (largest?.ofAllowed ?? 0)) largest = found;
      });
    },
  };
}

interface GoodRun {
  readonly answers: readonly Answer[];
  readonly ms: number;
}

async function askGood(runs: TrialRuns, options: TrialOptions, rows: readonly number[]): Promise<GoodRun> {
  const run = await runs.ask(rows);
  if (run.fault === null) return run;
  const who = rows.length === 1 ? 'a user who had an answer before' : `${rows.length} users at once, though not alone`;
  throw trialFailed(options, `, with ${who}`, run.fault);
}

function certify(
  { realUsers, tolerance, definition }: TrialOptions,
  tried: Tried,
  seen: Seen,
): Omit<ParityCertificate, 'readBothWays'> {
  const count = (rows: Iterable<number>) => {
    const all = [...rows];
    const real = all.filter((row) => row < realUsers).length;
    return { real, madeUp: all.length - real };
  };
  const [why = null] = tried.refused.values();
  return {
    users: count(tried.rows),
    refused: { ...count(tried.refused.keys()), why },
    batchSizes: definition.rowByRow ? [1] : [...seen.sizes].sort((a, b) => a - b),
    comparisons: seen.comparisons(),
    tolerance,
    largestDifference: seen.largest(),
  };
}

/** @param batch of which the answer was another one; null: alone again */
function differs(
  { field, definition }: TrialOptions,
  { output, userId, alone, other }: AnswerDifference,
  batch: { readonly users: number; readonly rowByRowHelps: boolean } | null,
): TandemError {
  const was = `${output} of user ${userId} is ${show(alone)} alone`;
  if (batch === null || definition.rowByRow) {
    return refuse(
      field,
      `${was}, but ${show(other)} when asked again: the model's answers are random, so that none can be stored`,
      'Export the model for inference, without sampling, dropout or random operators: model.eval() in PyTorch.',
    );
  }
  const remedy =
    'export the model so that its rows do not touch one another (int8 weights: quantise statically, since a dynamic scale is taken over the batch)';
  return refuse(
    field,
    `${was}, but ${show(other)} in a batch of ${batch.users}: it depends on which other users are inferred with it`,
    batch.rowByRowHelps
      ? `Set rowByRow: true in predictors.${definition.predictor}, which infers each user alone (its trial alone was passed), or ${remedy}.`
      : `${remedy[0]?.toUpperCase()}${remedy.slice(1)}.`,
  );
}

/** Its `detail` distinguishes it from other refusals: a table that changed between two reads looks the same, once. */
export const READS_DIFFER = 'reads differ';

function readsDiffer({ definition }: TrialOptions, { output, userId, alone, other }: AnswerDifference): TandemError {
  const text = `${output} of user ${userId} is ${show(alone)} from the features that a live read gets, but ${show(other)} from those that a run gets: the feature query gives one user other values than many`;
  return new TandemError('model_refused', text, {
    field: `predictors.${definition.predictor}.features.sql`,
    remedy:
      "Let each row depend on the user's own rows alone: no random(), no limit, no order with ties, no window over the users of one read.",
    detail: READS_DIFFER,
  });
}

function trialFailed({ field }: TrialOptions, who: string, problem: string): TandemError {
  const remedy = /allocate memory|std::bad_alloc/.test(problem)
    ? 'A model must score within the memory of an inference process; export a smaller or simpler one.'
    : 'Run the model in Python on such rows: it must give each user one finite answer, whatever the batch.';
  return refuse(field, `the model failed its trial run${who}: ${problem}`, remedy);
}

function show(value: AnswerValue): string {
  if (typeof value === 'number') return `${Number(value.toPrecision(7))}`;
  return typeof value === 'string' ? JSON.stringify(value.slice(0, 64)) : `${value}`;
}

/** Returns another order, the same each time: every second row, from the end; then the rest, from the start. */
function shuffle(rows: readonly number[]): readonly number[] {
  const half = rows.filter((_, i) => i % 2 === 1).toReversed();
  return [...half, ...rows.filter((_, i) => i % 2 === 0)];
}

function median(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[values.length >> 1] ?? 0;
}
