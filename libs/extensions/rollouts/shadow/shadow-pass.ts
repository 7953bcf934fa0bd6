/**
 * Computes the candidate's answers for the users of served answers, with one statement and one inference. Compares the
 * answers of each user whose context has not changed since the served answer.
 */
import type { Answer } from '@tandem/freshness/answer';
import { isErased } from '@tandem/freshness/certificate';
import { isTandemError } from '@tandem/freshness/errors';
import type { FeatureBatch } from '@tandem/freshness/features';
import { decodeOutputs } from '@tandem/freshness/outputs';
import type { ModelVersion } from '@tandem/freshness/predictor';
import { checkRequest, type UserRequest, withRequestRows } from '@tandem/freshness/request-features';
import { partsOf } from '@tandem/prediction/parts';
import { type CertifiedFeatures, type FeatureSource, isOfSomeUser } from '@tandem/prediction/scoring/feature-source';
import { type Attempted, type HalvingLimits, halveFailing } from '@tandem/prediction/scoring/halve-failing';
import { type IsolatedScores, scoreIsolating } from '@tandem/prediction/scoring/isolate-poison';
import type { Scorer } from '@tandem/prediction/scoring/scoring';
import { type Comparison, compareAnswers, type Yardstick } from './compare-answers.ts';
import type { ShadowOutcome } from './shadow-counts.ts';

interface PassDependencies {
  readonly features: Pick<FeatureSource, 'readUsers'>;
  readonly scorer: Scorer & { ready(version: ModelVersion): Promise<void> };
  /** A clock in milliseconds that only rises. */
  readonly now: () => number;
}

interface PassRequest {
  readonly version: ModelVersion;
  /** The served answers, one for each user. */
  readonly answers: readonly Answer[];
  readonly yardstick: Yardstick;
  /** The features by which users are divided into segments. */
  readonly segments: readonly string[];
  /** The time limit of the inference in ms. */
  readonly timeoutMs: number;
}

/** The result for one answer. */
export type PassResult =
  | { readonly outcome: Exclude<ShadowOutcome, 'compared'> }
  | {
      readonly outcome: 'compared';
      readonly comparison: Comparison;
      readonly segments: readonly { readonly feature: string; readonly value: string }[];
      /** Context version of the candidate's answer. */
      readonly contextVersion: number;
      readonly computedAt: number;
    };

/** The number of statements that a candidate's query costs a pass if it fails for every user. */
const LIMITS: HalvingLimits = {
  budget: 16,
  brokenAfter: 8,
  failingMs: 2_000,
  culprit: "the candidate's feature query",
};

/**
 * Computes and compares the answers of a pass. Never rejects. Returns the results in the order of the answers, and the
 * duration of the statements that read the features in ms; null if there were none.
 */
export async function performPass(dependencies: PassDependencies, request: PassRequest) {
  const { answers, version } = request;
  const results = new Map<Answer, PassResult>();
  const take = (part: readonly Answer[], outcome: Exclude<ShadowOutcome, 'compared'>) => {
    for (const answer of part) results.set(answer, { outcome });
  };
  let featuresMs: number | null = null;
  async function attempt(part: readonly Answer[]): Promise<Attempted<Answer>> {
    try {
      const read = await readTimed(dependencies, version, part);
      featuresMs = (featuresMs ?? 0) + read.ms;
      const compared = await compareAll(dependencies, { ...request, answers: part }, read.certified);
      for (const [i, answer] of part.entries()) results.set(answer, compared[i] ?? { outcome: 'failed' });
    } catch (error) {
      if (isOfSomeUser(error)) return { failed: error.fault.words };
      take(part, outcomeOf(error));
    }
    return 'done';
  }
  try {
    await dependencies.scorer.ready(version);
    const giveUp = (part: readonly Answer[]) => take(part, 'failed');
    await halveFailing(partsOf(answers), { attempt, giveUp, hasSuccess: () => featuresMs !== null }, LIMITS);
  } catch (error) {
    take(answers, outcomeOf(error));
  }
  return { results: answers.map((answer) => results.get(answer) ?? { outcome: 'failed' }), featuresMs };
}

async function readTimed({ features, now }: PassDependencies, version: ModelVersion, answers: readonly Answer[]) {
  const askedAt = now();
  const userIds = answers.map(({ userId }) => userId);
  const certified = await features.readUsers(version, userIds, 'with rows');
  return { certified, ms: now() - askedAt };
}

async function compareAll(
  { scorer }: PassDependencies,
  request: PassRequest,
  certified: CertifiedFeatures,
): Promise<PassResult[]> {
  const { version, answers, timeoutMs } = request;
  const found = new Map(certified.batch.userIds.map((userId, row) => [userId, row]));
  const { batch, rowOf, refused } = withSentFeatures(version, certified.batch, answers, found);
  const unfit = answers.map(
    (answer) => whyNot(certified, found.get(answer.userId), answer) ?? (refused.has(answer) ? REFUSED : undefined),
  );
  const rows = answers.flatMap((answer, i) => (unfit[i] ? [] : [rowOf(answer)]));
  const asked = { version, batch, rows, timeoutMs, priority: 'live' as const };
  const scores = rows.length === 0 ? undefined : await scoreIsolating(scorer, asked);
  const outputs = scores?.outputs;
  return answers.map((answer, i): PassResult => {
    const row = rowOf(answer);
    const bytes = outputs?.get(row);
    if (unfit[i] || !scores) return { outcome: unfit[i] ?? 'failed' };
    return bytes ? compare(request, answer, batch, row, bytes) : { outcome: whyNone(scores, row) };
  });
}

const REFUSED = 'features_unusable' as const;

/**
 * Returns the batch with a further row for each answer to a call with request features. The candidate gets the same
 * values, as its own version declares them. Answers with values that it does not accept are rejected.
 */
function withSentFeatures(
  version: ModelVersion,
  batch: FeatureBatch,
  answers: readonly Answer[],
  found: ReadonlyMap<string, number>,
) {
  const asked: UserRequest[] = [];
  const rows = new Map<Answer, number>();
  const refused = new Set<Answer>();
  for (const answer of answers) {
    const { inputs } = answer;
    const sent = inputs?.batch.sent?.get(inputs.row);
    const row = found.get(answer.userId);
    if (sent === undefined || row === undefined) continue;
    try {
      // The candidate ignores request features that it does not declare.
      asked.push({ row, request: checkRequest(version, sent, () => true, 'users') });
      rows.set(answer, batch.userIds.length + asked.length - 1);
    } catch {
      refused.add(answer);
    }
  }
  const rowOf = (answer: Answer) => rows.get(answer) ?? found.get(answer.userId) ?? -1;
  return { batch: asked.length === 0 ? batch : withRequestRows(batch, asked), rowOf, refused };
}

/** Returns why an answer cannot be compared, judged by the features alone; undefined if it can. */
function whyNot(
  { batch, certificate }: CertifiedFeatures,
  row: number | undefined,
  { predictor, userId, history, predictedFromContextVersion }: Answer,
): Exclude<ShadowOutcome, 'compared'> | undefined {
  if (row === undefined) return 'no_features';
  const user = certificate.user(userId, predictor);
  if (isErased(user)) return 'no_features';
  if (batch.faults.has(row)) return 'features_unusable';
  // No event that concerns the predictor came between the two: other events raised the version, but changed no feature.
  const isSame =
    predictedFromContextVersion !== null &&
    history === batch.history &&
    user.touched <= predictedFromContextVersion &&
    predictedFromContextVersion <= (batch.contextVersions[row] ?? -1);
  return isSame ? undefined : 'context_differs';
}

function compare(
  { version, yardstick, segments }: PassRequest,
  { prediction }: Answer,
  batch: FeatureBatch,
  row: number,
  bytes: Buffer,
): PassResult {
  const comparison = compareAnswers(prediction, decodeOutputs(version.outputs, bytes), yardstick);
  if (!comparison) return { outcome: 'no_value' };
  return {
    outcome: 'compared',
    comparison,
    segments: segments.flatMap((feature) => segmentOf(batch, row, feature)),
    contextVersion: batch.contextVersions[row] ?? 0,
    computedAt: batch.readAt,
  };
}

/** Returns the segment, or none if the candidate's query has no such feature. */
function segmentOf({ columns, values }: FeatureBatch, row: number, feature: string) {
  const at = columns.findIndex(({ name }) => name === feature);
  const column = values[at];
  if (!column) return [];
  const value = column[row] ?? null;
  const text = columns[at]?.kind === 'boolean' && value !== null ? String(value === 1) : String(value);
  return [{ feature, value: text }];
}

function whyNone({ unusable, overloaded, late }: IsolatedScores, row: number): Exclude<ShadowOutcome, 'compared'> {
  if (unusable.has(row)) return 'features_unusable';
  if (overloaded.has(row)) return 'overloaded';
  return late.has(row) ? 'timed_out' : 'failed';
}

function outcomeOf(error: unknown): Exclude<ShadowOutcome, 'compared'> {
  if (isTandemError(error, 'live_timeout')) return 'timed_out';
  if (isTandemError(error, 'overloaded')) return 'overloaded';
  return isTandemError(error, 'unavailable') ? 'unavailable' : 'failed';
}
