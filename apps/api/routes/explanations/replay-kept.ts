/**
 * Replays an explanation: runs the same model version on the kept inputs. Model versions are kept as long as their
 * predictor. The answers are compared within the tolerance of the model version's certificate, because the first inference
 * may have included other users, and a replay infers one user.
 */

import { isTandemError } from '@tandem/freshness/errors';
import type { FeatureBatch } from '@tandem/freshness/features';
import { decodeOutputs, encodeOutputs, outputFault } from '@tandem/freshness/outputs';
import type { ModelVersion, Prediction } from '@tandem/freshness/predictor';
import { createComparison, toleranceOf } from '@tandem/inference/admission/parity';
import {
  isOfSameContext,
  type KeptExplanation,
  type KeptInputs,
  type NoInputs,
  type ServedAnswer,
} from '@tandem/prediction/explanations/kept-explanation';
import type { AnswerDifference, AnswerValue } from '@tandem/prediction/models/verification';
import { ScoringCrash } from '@tandem/prediction/scoring/scoring';
import type { ReplayScorer } from '../../wiring/open-explanations.ts';
import type { RouteDependencies } from '../../wiring/route-dependencies.ts';

/**
 * The result of a replay. `inputs_changed` means that the inputs belong to another context than the answer, so equality
 * is not expected.
 */
export type Replay =
  | { readonly verdict: 'refused'; readonly reason: string }
  | {
      readonly verdict: 'agrees' | 'differs' | 'inputs_changed';
      readonly reason: string;
      readonly recomputed: Prediction;
      readonly tolerance: number;
      /** The difference that is nearest to its limit; null if the answers are equal to the last bit. */
      readonly difference: AnswerDifference | null;
    };

/** Replays an explanation. Rejects with `unavailable` or `overloaded` if a retry may help. */
export async function replayKept(
  { registry, replayScorer, models }: RouteDependencies,
  { modelVersionId, answer, inputs }: KeptExplanation,
): Promise<Replay> {
  const version = await registry.modelVersion(modelVersionId);
  const unfit = whyNot(version, answer, inputs);
  if (unfit !== null || typeof inputs === 'string') return { verdict: 'refused', reason: unfit ?? '' };
  const recomputed = await infer(replayScorer, version, answer.userId, inputs);
  if (typeof recomputed === 'string') return { verdict: 'refused', reason: recomputed };
  const [known] = await models.list({ predictor: version.predictor, number: version.number });
  const tolerance = known?.parity?.tolerance ?? toleranceOf(version, false);
  const [then, now] = [valuesOf(version, answer.prediction), valuesOf(version, recomputed)];
  const difference = createComparison(version.outputs, [then], tolerance).differenceOf(answer.userId, then, now);
  return { ...judge(answer, inputs, difference), recomputed, tolerance, difference };
}

function whyNot(version: ModelVersion, answer: ServedAnswer, inputs: KeptInputs | NoInputs): string | null {
  if (answer.source === 'default') return 'the answer is the declared default, so nothing was computed';
  if (inputs === 'no_row') return 'the feature source had no row of the user when the inputs were read';
  if (inputs === 'not_read') return 'the feature source did not answer when the inputs were read';
  if (inputs.fault !== null) return `the user could not be scored: ${inputs.fault}`;
  const names = columnsOf(version).map(({ name }) => name);
  const isWhole =
    names.length === inputs.features.length && names.every((name, i) => inputs.features[i]?.name === name);
  return isWhole ? null : 'the kept inputs are not those of the model version';
}

/** Returns the prediction, or the reason why there is none. */
async function infer(
  scorer: Pick<ReplayScorer, 'infer'>,
  version: ModelVersion,
  userId: string,
  inputs: KeptInputs,
): Promise<Prediction | string> {
  try {
    const tensors = await scorer.infer(version, batchOf(version, userId, inputs));
    const fault = outputFault(version.outputs, tensors, 0);
    return fault ?? decodeOutputs(version.outputs, encodeOutputs(version.outputs, tensors, 0));
  } catch (error) {
    if (error instanceof ScoringCrash) return `the model ended its process: ${error.message}`;
    if (isTandemError(error, 'live_timeout')) return 'the model took too long';
    if (isTandemError(error, 'live_failed', 'features_unusable', 'model_refused')) return error.message;
    throw error;
  }
}

/** Returns the columns in the model's order. */
function columnsOf({ query, request = [] }: ModelVersion) {
  return [...query.columns, ...request];
}

/** Returns the kept features as a batch of one user without faults. */
function batchOf(version: ModelVersion, userId: string, { history, readAt, contextVersion, features }: KeptInputs) {
  const columns = columnsOf(version);
  const values = features.map(({ value }) => [value]);
  const none = { faults: new Map(), unusable: new Map() };
  return {
    ...{ history, readAt, columns, values },
    ...{ userIds: [userId], contextVersions: [contextVersion], ...none },
  } satisfies FeatureBatch;
}

function valuesOf({ outputs }: ModelVersion, prediction: Prediction): AnswerValue[] {
  return outputs.flatMap(({ name }) => (prediction[name] ?? []) as AnswerValue | readonly AnswerValue[]);
}

function judge(answer: ServedAnswer, inputs: KeptInputs, difference: AnswerDifference | null) {
  if (!isOfSameContext(answer, inputs)) {
    const of = `the answer was computed from context version ${answer.predictedFromContextVersion}`;
    return {
      verdict: 'inputs_changed' as const,
      reason: `${of}, but the inputs, read after the reply, are of version ${inputs.contextVersion}`,
    };
  }
  if (difference === null) return { verdict: 'agrees' as const, reason: 'equal to the last bit' };
  if (difference.ofAllowed <= 1)
    return {
      verdict: 'agrees' as const,
      reason: "the difference is within the tolerance of the model version's certificate",
    };
  const since =
    inputs.read === 'after_the_reply'
      ? 'the answer was stored and its inputs were read after the reply, so the feature source may have changed without an event'
      : 'the inputs are those of the inference itself';
  return { verdict: 'differs' as const, reason: since };
}
