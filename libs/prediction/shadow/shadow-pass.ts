/**
 * What the candidate would have answered, for the users of some served answers: one statement, one inference, and a
 * comparison for each whose context is the one that the served answer was computed from.
 */
import type { Answer } from '../answer.ts';
import { isErased } from '../certificate.ts';
import { isTandemError } from '../errors.ts';
import type { CertifiedFeatures, FeatureSource } from '../models/feature-source.ts';
import type { FeatureBatch } from '../models/features.ts';
import { decodeOutputs } from '../models/outputs.ts';
import type { Scorer } from '../models/scoring.ts';
import type { ModelVersion } from '../predictor.ts';
import { type IsolatedScores, scoreIsolating } from '../runs/isolate-poison.ts';
import { type Comparison, compareAnswers, type Yardstick } from './compare-answers.ts';
import type { ShadowOutcome } from './shadow-counts.ts';

export interface PassDependencies {
  readonly features: Pick<FeatureSource, 'readUsers'>;
  readonly scorer: Scorer & { ready(version: ModelVersion): Promise<void> };
  /** Milliseconds that only ever rise. */
  readonly now: () => number;
}

export interface PassRequest {
  readonly version: ModelVersion;
  /** One of each user. */
  readonly answers: readonly Answer[];
  readonly yardstick: Yardstick;
  /** Features whose values divide the users. */
  readonly segments: readonly string[];
  /** Milliseconds for the inference. */
  readonly timeoutMs: number;
}

/** What became of one answer. */
export type PassResult =
  | { readonly outcome: Exclude<ShadowOutcome, 'compared'> }
  | {
      readonly outcome: 'compared';
      readonly comparison: Comparison;
      readonly segments: readonly { readonly feature: string; readonly value: string }[];
      /** Of the candidate's answer. */
      readonly contextVersion: number;
      readonly computedAt: number;
    };

export interface Pass {
  /** In the order of the answers. */
  readonly results: readonly PassResult[];
  /** Of the statement that read the features; null where it gave none. */
  readonly featuresMs: number | null;
}

/** Never rejects. */
export async function performPass(dependencies: PassDependencies, request: PassRequest): Promise<Pass> {
  const { features, scorer, now } = dependencies;
  const { version, answers, timeoutMs } = request;
  let featuresMs: number | null = null;
  try {
    await scorer.ready(version);
    const userIds = answers.map(({ userId }) => userId);
    const askedAt = now();
    const certified = await features.readUsers(version, userIds, 'with rows');
    featuresMs = now() - askedAt;
    const rowOf = new Map(certified.batch.userIds.map((userId, row) => [userId, row]));
    const unfit = answers.map((answer) => whyNot(certified, rowOf.get(answer.userId), answer));
    const rows = answers.flatMap(({ userId }, i) => (unfit[i] ? [] : [rowOf.get(userId) ?? -1]));
    const { batch } = certified;
    const asked = { version, batch, rows, timeoutMs, priority: 'live' as const };
    const scores = rows.length === 0 ? undefined : await scoreIsolating(scorer, asked);
    const outputs = scores?.outputs;
    const results = answers.map((answer, i): PassResult => {
      const row = rowOf.get(answer.userId) ?? -1;
      const bytes = outputs?.get(row);
      if (unfit[i] || !scores) return { outcome: unfit[i] ?? 'failed' };
      return bytes ? compare(request, answer, batch, row, bytes) : { outcome: whyNone(scores, row) };
    });
    return { results, featuresMs };
  } catch (error) {
    const outcome = outcomeOf(error);
    return { results: answers.map(() => ({ outcome })), featuresMs };
  }
}

/** Why there is nothing to compare an answer with, as far as the features tell. */
function whyNot(
  { batch, certificate }: CertifiedFeatures,
  row: number | undefined,
  { predictor, userId, history, predictedFromContextVersion }: Answer,
): Exclude<ShadowOutcome, 'compared'> | undefined {
  if (row === undefined) return 'no_features';
  const user = certificate.user(userId, predictor);
  if (isErased(user)) return 'no_features';
  if (batch.faults.has(row)) return 'features_unusable';
  // Nothing that concerns the predictor has happened between the two: what else raised the version changed no feature.
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

/** None where the candidate's query has no such feature. */
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
