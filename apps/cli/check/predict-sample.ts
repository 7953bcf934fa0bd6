/**
 * Predicts one user as a live read does, shows the inputs, the result and the times, and judges whether a live read has
 * enough time.
 */
import type { CheckedPredictor } from '@tandem/admission/judge-predictor';
import type { Pool, SlowUsers } from '@tandem/admission/sample-users';
import { isTooSlow } from '@tandem/admission/slow-statement';
import { versionOf, withScorer } from '@tandem/admission/with-scorer';
import { explainFailure } from '@tandem/commands/failure';
import { type Finding, failed, warning } from '@tandem/commands/output/finding';
import { counted, duration } from '@tandem/commands/output/text';
import { isTandemError, TandemError } from '@tandem/freshness/errors';
import type { FeatureBatch } from '@tandem/freshness/features';
import { decodeOutputs, encodeOutputs, outputFault } from '@tandem/freshness/outputs';
import type { Prediction } from '@tandem/freshness/predictor';
import { namesWithoutDefault } from '@tandem/freshness/request-features';
import { withTrialRequests } from '@tandem/inference/tensors/made-up-rows';
import { findProvenance } from '@tandem/offline-store/features/provenance';

export interface Sample {
  readonly predictor: string;
  readonly userId: string;
  readonly features: readonly { readonly name: string; readonly value: number | string | null }[];
  readonly prediction: Prediction;
  readonly featuresMs: number;
  readonly inferenceMs: number;
}

const DEADLINE_MS = 10_000;
const ATTEMPTS = 4;
/**
 * The time limit of an inference in ms, longer than the CPU time of a trial. An inference that takes longer did not get
 * enough CPU time.
 */
const INFERENCE_MS = 60_000;
/** Milliseconds above which no second attempt is made, because it would not be fast enough. */
const SLOW_MS = 1_000;

/**
 * Returns the sample, or a finding that says why there is none.
 * @param memoryLimitMb the memory limit of the process that infers the user
 */
export async function predictSample(
  pool: Pool,
  predictor: CheckedPredictor,
  memoryLimitMb: number,
): Promise<Sample | Finding> {
  const { users } = predictor;
  const version = versionOf(predictor);
  const userId = users?.scorable?.userIds[0] ?? users?.slow?.userId ?? undefined;
  if (userId === undefined) return whyNobody(predictor);
  try {
    const { liveTimeoutMs } = predictor.policy.freshness;
    const read = await timed(() => findProvenance(pool, version, userId, DEADLINE_MS), liveTimeoutMs);
    const { result: user, quickestMs: featuresMs } = read;
    // If the query is too slow to choose a scorable user, this user may have a null, which the finding `users` reports.
    if (user.fault !== null) {
      if (predictor.users?.slow) return noUserInTime(predictor, predictor.users.slow);
      return failed('sample', `user ${userId} cannot be scored: ${user.fault}`, 'fix the query for such rows');
    }
    // Runs score with the defaults of request features. Without defaults, each request sends values.
    const isComplete = namesWithoutDefault(version).length === 0;
    const batch = isComplete ? user.batch : withTrialRequests(version, user.batch);
    return {
      predictor: predictor.name,
      userId,
      features: batch.columns.map(({ name }, i) => ({ name, value: batch.values[i]?.[0] ?? null })),
      featuresMs,
      ...(await infer(predictor, batch, { memoryLimitMb, withinMs: liveTimeoutMs - featuresMs })),
    };
  } catch (error) {
    if (isTooSlow(error)) return tooSlowForReads(predictor, userId, DEADLINE_MS);
    const { message, remedy } = explainFailure(error);
    return failed('sample', message, remedy ?? 'fix the query or the model');
  }
}

/**
 * Times work that a busy machine may delay. The fastest of a few attempts counts, and the first attempt within the
 * limit is the last.
 */
async function timed<T>(work: () => Promise<T>, withinMs: number): Promise<{ result: T; quickestMs: number }> {
  let quickestMs = Number.POSITIVE_INFINITY;
  for (let attempts = 1; ; attempts++) {
    const begin = performance.now();
    const result = await work();
    const ms = performance.now() - begin;
    quickestMs = Math.min(quickestMs, ms);
    if (quickestMs <= withinMs || attempts === ATTEMPTS || ms > SLOW_MS) return { result, quickestMs };
  }
}

function whyNobody(predictor: CheckedPredictor): Finding {
  const { read = 0, fault = null, slow = null } = predictor.users ?? {};
  if (slow !== null) return noUserInTime(predictor, slow);
  if (read === 0) return warning('sample', 'the feature query returns no user', 'check that its tables have rows');
  const { userId = '', why = '' } = fault ?? {};
  const text = `none of the ${counted(read, 'user')} read can be scored; user ${userId}: ${why}`;
  const nan = /^feature (.+) is NaN;/.exec(why)?.[1];
  const remedy =
    nan === undefined
      ? 'set a value for nulls in features.nulls, or fix the query'
      : `turn it into null in the query, nullif(${nan}, 'NaN') as ${nan}, and set its value in features.nulls`;
  return failed('sample', text, remedy);
}

function infer(
  predictor: CheckedPredictor,
  batch: FeatureBatch,
  { memoryLimitMb, withinMs }: { readonly memoryLimitMb: number; readonly withinMs: number },
) {
  return withScorer(predictor, memoryLimitMb, async (scorer, version) => {
    const request = { version, batch, rows: [0], timeoutMs: INFERENCE_MS, priority: 'live' } as const;
    // The first run of a session allocates memory, so the time of later runs is that of a read.
    await scorer.score(request);
    const { result, quickestMs: inferenceMs } = await timed(() => scorer.score(request), withinMs);
    const { tensors } = result;
    const fault = outputFault(version.outputs, tensors, 0);
    if (fault !== null) throw new Error(`the model returned no usable answer: ${fault}`);
    return { prediction: decodeOutputs(version.outputs, encodeOutputs(version.outputs, tensors, 0)), inferenceMs };
  }).catch((cause: unknown) => {
    if (!isTandemError(cause, 'live_timeout')) throw cause;
    const text = `${cause.message}, although the model passed its trial: the machine is busy`;
    throw new TandemError('overloaded', text, { remedy: 'retry when the machine is less busy', cause });
  });
}

/** The part of a predictor that decides about live reads. */
interface LiveReader {
  readonly policy: { readonly freshness: { readonly live: boolean; readonly liveTimeoutMs: number } };
  readonly definition: Pick<CheckedPredictor['definition'], 'request'>;
}

const WITHOUT_LIVE = 'set freshness.live: false, so that reads return the prediction of the batch';

/**
 * Returns the remedy for slow features. For a predictor with request features, which needs live inference, the remedy
 * does not suggest turning it off.
 */
function queryRemedy({ definition }: LiveReader): string {
  const last = definition.request ? 'raise freshness.liveTimeout' : WITHOUT_LIVE;
  return `create the index that the query needs for one user (see plan), keep aggregates over all users in a table or a materialized view, or ${last}`;
}

/** Returns the remedy for a slow model, with the same exception. */
function modelRemedy({ definition }: LiveReader): string {
  const build = 'serve a faster build (tandem build create)';
  return `raise freshness.liveTimeout, ${definition.request ? `or ${build}` : `${build}, or ${WITHOUT_LIVE}`}`;
}

/** Returns a finding if the sample was not read in time, unless the predictor answers no read live. */
export function judgeReadTime(
  reader: LiveReader,
  { userId, featuresMs, inferenceMs }: Pick<Sample, 'userId' | 'featuresMs' | 'inferenceMs'>,
): Finding[] {
  const { live, liveTimeoutMs } = reader.policy.freshness;
  const ms = featuresMs + inferenceMs;
  if (!live || ms <= liveTimeoutMs) return [];
  const limit = `and freshness.liveTimeout is ${inMs(liveTimeoutMs)}: reads of changed users would return the stored prediction`;
  if (featuresMs > liveTimeoutMs) {
    const text = `the features of user ${userId} took ${inMs(featuresMs)}, ${limit}`;
    return [warning('query', text, queryRemedy(reader))];
  }
  const parts = `${inMs(featuresMs)} for the features, ${inMs(inferenceMs)} for the model`;
  const text = `a live read of user ${userId} took ${inMs(ms)} (${parts}), ${limit}`;
  return [warning('model', text, modelRemedy(reader))];
}

/** Reports that reading the features of a single user took longer than any read waits. */
export function tooSlowForReads(reader: LiveReader, userId: string, ms: number): Finding {
  const { live, liveTimeoutMs } = reader.policy.freshness;
  const text = `the features of user ${userId} were not read within ${inMs(ms)}`;
  if (!live) return warning('sample', text, 'check that the tables have the indexes that the query needs');
  const most = `the query is too slow for live reads, which have ${inMs(liveTimeoutMs)} (freshness.liveTimeout)`;
  return failed('sample', `${text}: ${most}`, queryRemedy(reader));
}

/** Reports that not even user ids were read in time. A query that is slow for all users may still be fast for one. */
export function noUserInTime(reader: LiveReader, { what, ms }: SlowUsers): Finding {
  const most = inMs(reader.policy.freshness.liveTimeoutMs);
  const text = `${what} were not read within ${inMs(ms)}, so the query is slow for all users; whether it is fast enough for a live read of one user (${most}, freshness.liveTimeout) was not measured`;
  return warning('sample', text, queryRemedy(reader));
}

/** Renders a limit of 250 ms as 250 ms, not as 0.3 s. */
function inMs(ms: number): string {
  return ms < 1_000 ? `${Math.round(ms)} ms` : duration(ms);
}

/** How far a probability may lie outside 0 to 1, because floats of a softmax may be slightly above 1. */
const TOLERANCE = 1e-5;

/**
 * Warns of a field that is named a probability but has another value. Some exporters give margins and distances such
 * names.
 */
export function judgeProbabilities({ userId, prediction }: Pick<Sample, 'userId' | 'prediction'>): Finding[] {
  return Object.entries(prediction).flatMap(([field, value]) => {
    const odd = [value].flat().find((one) => typeof one === 'number' && (one < -TOLERANCE || one > 1 + TOLERANCE));
    if (!/prob/i.test(field) || odd === undefined) return [];
    const text = `${field} of user ${userId} has the value ${odd}, which is not a probability; it may be a margin or a distance`;
    const remedy = `rename the field, for example to scores, or export probabilities (scikit-learn: SVC(probability=True))`;
    return [warning('outputs', text, remedy)];
  });
}
