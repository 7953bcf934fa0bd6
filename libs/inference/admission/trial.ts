/**
 * Runs the trial of a model: users alone, alone again, and in batches of several sizes and orders. The result is a
 * certificate that each user got one finite answer, the same in every batch, with the cost of an answer; or an error
 * with the deviation.
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
  /** The median of the milliseconds of a run for one user. */
  readonly aloneMs: number;
  /** Microseconds for each user in the largest batch that was tried. */
  readonly perUserUs: number;
  /** The number of users in that batch. */
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
  /** The number of real users, which are the first in the batch. */
  readonly realUsers: number;
  /** The number of rows, from the first, that are tried alone. The others are the run's rows of `bothWays`. */
  readonly users: number;
  readonly bothWays: readonly ReadBothWays[];
  readonly tolerance: number;
  /** The limit of CPU time for all runs. A slow model is tried with fewer users. */
  readonly totalCpuMs: number;
  /** The model's field in the config. */
  readonly field: string;
}

/** The users of each batch in the mixed runs. */
const MIX_SIZES = [2, 3, 7];
/** The size of a large batch as in runs. It gives the cost, and kernels may change their algorithm with the size. */
const LARGE_BATCH = 1_024;
/** The most values of the large batch. A model with wide outputs is tried with fewer users. */
const LARGE_VALUES = 1 << 20;
/** The share of the trial's CPU time for the required runs, estimated from the first run. */
const PLANNED_SHARE = 0.5;
/** The least number of users: two users are needed to detect mixed-up answers. */
const LEAST_USERS = 2;
/** The allowed difference of answers if features were read twice, since a query may contain the current time. */
const READ_TOLERANCE = 1e-3;

/**
 * The rows of the batch that have an answer, the answer of each row that ran alone, and the times of runs for one user.
 */
type Tried = Awaited<ReturnType<typeof tryAlone>>;

/** Runs a trial. Throws `model_refused`, or ProcessEnded if the model ended its process. */
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

/** Runs one user at a time, so that a user that the model rejects does not affect others. */
async function tryAlone(runs: TrialRuns, options: TrialOptions) {
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
    // Each user costs two runs alone and a third of a run in the mixed batches.
    const affordable = (totalCpuMs * PLANNED_SHARE) / Math.min(...times.map(({ cpuMs }) => cpuMs));
    wanted = Math.max(LEAST_USERS, Math.min(users, Math.floor((affordable - 3) / 2.5)));
  }
  const rows = [...alone.keys()];
  const [why] = refused.values();
  const noReal = realUsers > 0 && !rows.some((row) => row < realUsers);
  if (rows.length === 0 || noReal) {
    const who = noReal && rows.length > 0 ? ' for each real user' : ' for every user';
    throw trialFailed(options, who, why ?? 'there is no user to try');
  }
  return { rows, alone, refused, times };
}

/** Runs users in several batches, of which the last is as large as in a run. Returns the cost of a user in it. */
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
  // The longest possible time is that of all users one after the other.
  const isAffordable =
    runs.spentCpuMs() + size * median(times.map(({ cpuMs }) => cpuMs)) < options.totalCpuMs * PLANNED_SHARE;
  if (size <= all.length || !isAffordable) {
    return { aloneMs, perUserUs: (ms * 1_000) / all.length, batchSize: all.length };
  }
  const many = Array.from({ length: size }, (_, i) => mixed[i % mixed.length] ?? 0);
  return { aloneMs, perUserUs: ((await together(many)) * 1_000) / size, batchSize: size };
}

/** Tries users with the features that a run reads, since the query's result must not depend on its caller. */
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

type Seen = ReturnType<typeof createSeen>;

function createSeen(options: TrialOptions, tried: Tried, comparison: Comparison) {
  const sizes = new Set([1]);
  let comparisons = 0;
  let largest: AnswerDifference | null = null;
  /** With rowByRow, answers must be equal to the last bit. The runs alone have shown whether they are. */
  let sameAlone = true;
  return {
    sizes,
    comparisons: () => comparisons,
    largest: () => largest,
    compare(rows: readonly number[], { answers }: GoodRun, how: 'again' | 'together'): void {
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
  const how =
    rows.length === 1 ? ' on a repeated user' : ` for a batch of ${rows.length} users, though each alone succeeded`;
  throw trialFailed(options, how, run.fault);
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

/** Returns the error of a different answer in a batch, or in the second run alone if the batch is null. */
function differs(
  { field, definition }: TrialOptions,
  { output, userId, alone, other }: AnswerDifference,
  batch: { readonly users: number; readonly rowByRowHelps: boolean } | null,
): TandemError {
  const was = `${output} of user ${userId} is ${show(alone)} alone`;
  if (batch === null || definition.rowByRow) {
    return refuse(
      field,
      `${was}, but ${show(other)} in a second run: the model's answers are random, so none can be stored`,
      'Export the model for inference, without sampling, dropout or random operators: model.eval() in PyTorch.',
    );
  }
  const remedy =
    'export the model so that its rows are independent (int8 weights: quantise statically, since a dynamic scale depends on the batch)';
  return refuse(
    field,
    `${was}, but ${show(other)} in a batch of ${batch.users}: it depends on the other users in the batch`,
    batch.rowByRowHelps
      ? `Set rowByRow: true in predictors.${definition.predictor}, which infers each user alone (the model passed its trial alone), or ${remedy}.`
      : `${remedy[0]?.toUpperCase()}${remedy.slice(1)}.`,
  );
}

/** The `detail` of this error. A table that changed between the two reads causes the same error, but only once. */
export const READS_DIFFER = 'reads differ';

function readsDiffer({ definition }: TrialOptions, { output, userId, alone, other }: AnswerDifference): TandemError {
  const text = `${output} of user ${userId} is ${show(alone)} from the features that a live read gets, but ${show(other)} from those that a run gets: the feature query returns other values for one user than for many`;
  return new TandemError('model_refused', text, {
    field: `predictors.${definition.predictor}.features.sql`,
    remedy:
      "Make each row depend only on the user's own rows: no random(), no limit, no order with ties, no window over the users of one read.",
    detail: READS_DIFFER,
  });
}

function trialFailed({ field }: TrialOptions, who: string, problem: string): TandemError {
  const remedy = /allocate memory|std::bad_alloc/.test(problem)
    ? 'A model must score within the memory of an inference process; export a smaller or simpler one.'
    : 'Run the model in Python with these rows: it must give each user one finite answer in every batch.';
  return refuse(field, `the model failed its trial run${who}: ${problem}`, remedy);
}

function show(value: AnswerValue): string {
  if (typeof value === 'number') return `${Number(value.toPrecision(7))}`;
  return typeof value === 'string' ? JSON.stringify(value.slice(0, 64)) : `${value}`;
}

/** Returns another fixed order: every second row from the end, then the rest from the start. */
function shuffle(rows: readonly number[]): readonly number[] {
  const half = rows.filter((_, i) => i % 2 === 1).toReversed();
  return [...half, ...rows.filter((_, i) => i % 2 === 0)];
}

function median(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[values.length >> 1] ?? 0;
}
