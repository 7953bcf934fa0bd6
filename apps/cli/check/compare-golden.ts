/**
 * Compares a model's predictions with those that training exported. This detects columns of a matrix in the wrong
 * order. Neither the query nor the model shows this fault, because every wrong score looks like a score.
 */
import type { CheckedPredictor } from '@tandem/admission/judge-predictor';
import type { Pool } from '@tandem/admission/sample-users';
import { withScorer } from '@tandem/admission/with-scorer';
import { isTandemError } from '@tandem/freshness/errors';
import { type FeatureBatch, scorableRows } from '@tandem/freshness/features';
import { decodeOutputs } from '@tandem/freshness/outputs';
import type { ModelVersion, Prediction } from '@tandem/freshness/predictor';
import type { InferencePool } from '@tandem/inference/live/pool';
import { createFeatureSource } from '@tandem/offline-store/features/features';
import { scoreIsolating } from '@tandem/prediction/scoring/isolate-poison';
import { findOrder } from './find-order.ts';
import type { Golden, GoldenUser } from './read-golden.ts';

/** A value that differs from the expected value. */
export interface Difference {
  readonly userId: string;
  readonly column: string;
  readonly expected: number | string;
  readonly got: number | string;
  /** The difference as a multiple of the allowed difference; 0 for texts, which have no distance. */
  readonly excess: number;
}

export type GoldenComparison = Awaited<ReturnType<typeof compareGolden>>;

const USERS_AT_ONCE = 500;
const READ_MS = 10_000;
const DEADLINE_MS = 10_000;
/** The least value to which a difference is relative. Near zero, a float32 sum has no further correct digits. */
const LEAST_MAGNITUDE = 0.01;

/**
 * Compares the model's predictions with the expected values.
 * @param tolerance the allowed difference as a share of the value
 */
export async function compareGolden(
  pool: Pool,
  predictor: CheckedPredictor,
  golden: Golden,
  { tolerance, memoryLimitMb }: { readonly tolerance: number; readonly memoryLimitMb: number },
) {
  return withScorer(predictor, memoryLimitMb, async (scorer, version) => {
    const trial: Trial = { scorer, version, golden, tolerance };
    const { first, differences, unknown, unscorable } = await compareUsers(pool, trial);
    const order = differences.length === 0 || !first ? null : await findOrder(first, (batch) => misfit(trial, batch));
    const isByName = version.inputs.every(({ columns }) => columns.length === 1);
    const users = golden.users.length;
    return {
      predictor: predictor.name,
      /** The number of users in the file. */
      users,
      /** The number of users whose values are all as expected. */
      equal: users - differences.length - unknown.length - unscorable.length,
      /** The largest difference of each user, in descending order. */
      differences,
      /** Users without a row of the query. */
      unknown,
      /** Users that cannot be scored, and why. */
      unscorable,
      tolerance,
      /** An order of the feature columns that gives the expected values; null if none was found or needed. */
      order: isByName ? null : order,
      /**
       * Each column with the column whose values it needs. For a model with one column in each input, this list
       * replaces `order`.
       */
      exchange: isByName && order && first ? exchangeOf(first, order) : null,
    };
  });
}

interface Trial {
  readonly scorer: InferencePool;
  readonly version: ModelVersion;
  readonly golden: Golden;
  readonly tolerance: number;
}

async function compareUsers(pool: Pool, trial: Trial) {
  const { version, golden } = trial;
  const differences: Difference[] = [];
  const unknown: string[] = [];
  const unscorable: { userId: string; why: string }[] = [];
  let first: FeatureBatch | undefined;
  const source = createFeatureSource(pool, { usersTimeoutMs: READ_MS });
  for (let at = 0; at < golden.users.length; at += USERS_AT_ONCE) {
    const users = golden.users.slice(at, at + USERS_AT_ONCE);
    const ids = users.map(({ userId }) => userId);
    const { batch } = await source.readUsers(version, ids);
    first ??= batch;
    const predictions = await predictAll(trial, batch);
    for (const user of users) {
      const { userId } = user;
      const predicted = predictions.get(userId);
      if (predicted === undefined) unknown.push(userId);
      else if (typeof predicted === 'string') unscorable.push({ userId, why: predicted });
      else differences.push(...worstDifference(trial, user, predicted));
    }
  }
  differences.sort((a, b) => b.excess - a.excess);
  return { first, differences, unknown, unscorable };
}

function exchangeOf({ columns }: FeatureBatch, order: readonly string[]) {
  return columns
    .map(({ name }, i) => ({ column: name, valuesOf: order[i] ?? name }))
    .filter(({ column, valuesOf }) => column !== valuesOf);
}

/**
 * Returns the prediction by user, or the reason why there is none. Users without a row are missing.
 * @param isolation `budget`: the number of failures after which all failed rows are given up; otherwise each bad user
 * is isolated
 */
async function predictAll(
  { scorer, version }: Trial,
  batch: FeatureBatch,
  isolation: { readonly budget?: number } = {},
): Promise<Map<string, Prediction | string>> {
  const userOf = (row: number) => batch.userIds[row] ?? '';
  const found = new Map<string, Prediction | string>([...batch.faults].map(([row, why]) => [userOf(row), why]));
  const rows = scorableRows(batch);
  if (rows.length === 0) return found;
  const request = { version, batch, rows, timeoutMs: DEADLINE_MS, priority: 'batch' } as const;
  const { outputs, faults } = await scoreIsolating(scorer, request, isolation);
  for (const row of rows) {
    const bytes = outputs.get(row);
    const why = faults.get(row) ?? 'the model returned nothing';
    found.set(userOf(row), bytes ? decodeOutputs(version.outputs, bytes) : why);
  }
  return found;
}

/** Returns the user's largest difference; none if all values are as expected. */
function worstDifference(
  { golden, tolerance }: Trial,
  { userId, expected }: GoldenUser,
  prediction: Prediction,
): readonly Difference[] {
  const differences = golden.outputs.flatMap(({ column, field, index }, i) => {
    const value = [prediction[field]].flat()[index ?? 0];
    const wanted = expected[i] ?? Number.NaN;
    const got = typeof wanted === 'number' ? Number(value) : String(value);
    const excess = excessOf(wanted, got, tolerance);
    return excess === null ? [] : [{ userId, column, expected: wanted, got, excess }];
  });
  return differences.sort((a, b) => b.excess - a.excess).slice(0, 1);
}

/** Returns the difference as a multiple of the allowed difference; null if the values are within the tolerance. */
function excessOf(expected: number | string, got: number | string, tolerance: number): number | null {
  if (typeof expected === 'string' || typeof got === 'string') return expected === got ? null : 0;
  const allowed = tolerance * Math.max(Math.abs(expected), Math.abs(got), LEAST_MAGNITUDE);
  const difference = Math.abs(expected - got);
  return difference <= allowed ? null : difference / allowed;
}

/**
 * Returns the misfit between the model's answers for reordered features and the expected scores; 0 if all are as
 * expected.
 */
async function misfit(trial: Trial, batch: FeatureBatch): Promise<number> {
  const predictions = await predictAll(trial, batch, { budget: 0 }).catch((error: unknown) => {
    // With features in a wrong order, the model may take too long.
    if (isTandemError(error)) return null;
    throw error;
  });
  let sum = 0;
  for (const user of trial.golden.users) {
    const predicted = predictions ? predictions.get(user.userId) : 'none';
    if (predicted === undefined) continue;
    if (typeof predicted === 'string') return Number.POSITIVE_INFINITY;
    const [worst] = worstDifference(trial, user, predicted);
    // The logarithm keeps one user with a large difference from hiding improvements of the others.
    if (worst) sum += 1 + Math.log1p(worst.excess);
  }
  return sum;
}
