/** The answer of a read, and its construction from a stored candidate. */
import { layerOf, type ServedRollout } from './certificate.ts';
import type { TandemError } from './errors.ts';
import type { InferenceInputs } from './live-predictor.ts';
import { decodeOutputs } from './outputs.ts';
import type { ModelVersion, Prediction } from './predictor.ts';
import type { Reason } from './reasons.ts';
import type { CertifiedRead, Standing } from './settle.ts';
import type { Label, StoredPrediction } from './stored-prediction.ts';

/**
 * The source of an answer. `batch`: stored by a run; `live`: inferred live, now or earlier; `stale`: not known to be
 * fresh; `default`: declared in the config.
 */
export type Source = 'batch' | 'live' | 'stale' | 'default';

export interface Answer {
  readonly predictor: string;
  readonly userId: string;
  readonly prediction: Prediction;
  readonly source: Source;
  readonly reason: Reason;
  readonly modelNumber: number;
  readonly variant: string;
  /** The active rollout of the arm; null if there is none. */
  readonly rollout: ServedRollout | null;
  /** Number of the layer that the prediction lies in; null for the overlay. */
  readonly generationNumber: number | null;
  /** The time of computation, in ms since 1970; null for a default. */
  readonly computedAt: number | null;
  readonly ageSeconds: number | null;
  /** The user's certified context version; null if Postgres did not answer. */
  readonly contextVersion: number | null;
  /**
   * The version of the last event that concerns this predictor. A prediction from an older version is not fresh. Null
   * if `contextVersion` is null.
   */
  readonly lastConcerningVersion: number | null;
  readonly predictedFromContextVersion: number | null;
  readonly history: string | null;
  /** Whether the answer was stored before this read. */
  readonly hit: boolean;
  /** Whether a re-scoring stored it. For metrics only: callers do not see it. */
  readonly refreshed?: boolean | undefined;
  /** Whether the inference of this read was stored for later reads. */
  readonly kept: boolean;
  /**
   * Why no fresh stored answer could be used (the `detail` of Cache-Status); null if the read accepted a stored answer.
   */
  readonly forwarded: Reason | null;
  /** The prediction in this process's memory, if this read answers from it or has just added it. */
  readonly remembered?: RememberedPrediction | undefined;
  /** Why live inference failed, if a lower rung answers because of it. For the log only: it may name internals. */
  readonly liveFailure?: string | undefined;
  /** Whether a lower rung answers because of the caller's own quota. For metrics and rollouts only. */
  readonly isOverQuota?: boolean;
  /** The model's inputs, if the inference of this read answers. */
  readonly inputs?: InferenceInputs | undefined;
}

/** A stored prediction in this process's memory. */
export interface RememberedPrediction {
  readonly label: Label;
  /** The decoded prediction; frozen. */
  readonly prediction: Prediction;
  /** The text of the last answer with this prediction. */
  rendering?: Rendering | undefined;
}

/** A possible answer of a read: the bytes from a store, or a prediction in memory. */
export type Candidate = StoredPrediction | RememberedPrediction;

export function labelOf(candidate: Candidate): Label {
  return 'label' in candidate ? candidate.label : candidate;
}

/** An answer as text, with the facts that were rendered in addition to the prediction. */
export interface Rendering {
  /** The facts that are the same in the answers of most other users. */
  readonly frame: AnswerFrame;
  readonly contextVersion: number | null;
  readonly lastConcerningVersion: number | null;
  readonly etag: string;
  /** The text before the answer's age; `after` is the text that follows the age. */
  readonly before: string;
  readonly after: string;
}

export type AnswerFrame = Readonly<
  Pick<Answer, 'predictor' | 'source' | 'reason' | 'modelNumber' | 'variant' | 'generationNumber' | 'history'>
>;

/** An answer, or the error that replaces it. */
export type ReadResult = Answer | TandemError;

/** Returns the answer of a candidate, or undefined if its bytes do not match the model version's layout. */
export function storedAnswer(
  read: CertifiedRead,
  { userId, user }: Standing,
  candidate: Candidate,
  source: Source,
  reason: Reason,
): Answer | undefined {
  const { certificate, version } = read;
  const remembered = 'label' in candidate ? candidate : undefined;
  const prediction = 'label' in candidate ? candidate.prediction : predictionOf(version, candidate);
  const label = labelOf(candidate);
  return (
    prediction && {
      ...originOf(userId, read, label),
      prediction,
      source,
      reason,
      ageSeconds: wholeSeconds(certificate.now - label.computedAt),
      contextVersion: user.version,
      lastConcerningVersion: user.touched,
      history: certificate.history,
      hit: true,
      refreshed: label.refreshed,
      kept: false,
      forwarded: null,
      remembered,
    }
  );
}

/** Returns the fields of an answer that depend only on its candidate and assignment. */
export function originOf(
  userId: string,
  { assignment, rollout }: Pick<CertifiedRead, 'assignment' | 'rollout'>,
  candidate: Pick<Label, 'computedAt' | 'contextVersion' | 'generationId'>,
) {
  return {
    predictor: assignment.predictor,
    userId,
    modelNumber: assignment.modelNumber,
    variant: assignment.arm,
    rollout: rollout?.servedTo(userId) ?? null,
    generationNumber: layerOf(assignment.generation, candidate.generationId)?.number ?? null,
    computedAt: candidate.computedAt,
    predictedFromContextVersion: candidate.contextVersion,
  };
}

export function wholeSeconds(ms: number): number {
  return Math.max(0, Math.floor(ms / 1000));
}

/**
 * Returns a stored candidate's prediction; undefined if its bytes do not match the layout, so that a damaged entry is
 * ignored.
 */
export function predictionOf(version: ModelVersion, candidate: StoredPrediction): Prediction | undefined {
  try {
    return decodeOutputs(version.outputs, candidate.outputs);
  } catch (error) {
    if (error instanceof RangeError) return undefined;
    throw error;
  }
}
