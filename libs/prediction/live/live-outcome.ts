/** What becomes of one user's live prediction, and why it failed where it did. */
import type { Certificate } from '../certificate.ts';
import { isTandemError, TandemError } from '../errors.ts';
import type { FeatureBatch } from '../models/features.ts';
import type { IsolatedScores } from '../runs/isolate-poison.ts';

/**
 * - `live_timeout`: the time ran out, whatever took it.
 * - `live_failed`: the model crashed, or refused the input.
 * - `features_unusable`: the model cannot take the user's features until they change.
 * - `output_unusable`: the model gives NaN or another value that is no prediction, until features or model change.
 */
export type LiveFailureReason =
  | 'features_failed'
  | 'live_failed'
  | 'features_unusable'
  | 'output_unusable'
  | 'live_timeout'
  | 'overloaded';

/** What the model was given for one user: a row of the features that were read for several. */
export interface InferenceInputs {
  readonly batch: FeatureBatch;
  readonly row: number;
}

export type LiveOutcome =
  | {
      readonly kind: 'predicted';
      readonly outputs: Buffer;
      readonly contextVersion: number;
      readonly computedAt: number;
      readonly kept: boolean;
      /** Of the statement that read the features: it speaks of this user. */
      readonly certificate: Certificate;
      readonly inputs: InferenceInputs;
    }
  | { readonly kind: 'no_features' }
  | { readonly kind: 'erased' }
  | {
      readonly kind: 'failed';
      readonly reason: LiveFailureReason;
      readonly detail: string;
      /** The names of the features that are unusable, where it is they. */
      readonly features?: readonly string[];
    };

export const NO_FEATURES: LiveOutcome = Object.freeze({ kind: 'no_features' });

/** The caller has used up its own limit of live inferences. */
export const OVER_QUOTA: LiveOutcome = Object.freeze({
  kind: 'failed',
  reason: 'overloaded',
  detail: "the caller's limit of live inferences is used up",
});

/** Refused before anything was asked for: it would have come too late. */
export const NO_ROOM: LiveOutcome = Object.freeze({
  kind: 'failed',
  reason: 'overloaded',
  detail: 'more users wait for the model than it can answer in time',
});

/** Whether nothing was asked of any store, nor of the model. */
export function isRefusal(outcome: LiveOutcome): boolean {
  return outcome === NO_ROOM || outcome === OVER_QUOTA;
}

/** What becomes of a row of `faults`. */
export function failureOf(scores: IsolatedScores, row: number): LiveOutcome {
  const { faults, unusable, withoutOutput, overloaded, late } = scores;
  const detail = faults.get(row) ?? '';
  const features = unusable.get(row);
  if (features) return unusableFeatures(detail, features);
  if (withoutOutput.has(row)) return { kind: 'failed', reason: 'output_unusable', detail };
  if (overloaded.has(row)) return { kind: 'failed', reason: 'overloaded', detail };
  return { kind: 'failed', reason: late.has(row) ? 'live_timeout' : 'live_failed', detail };
}

export function unusableFeatures(detail: string, features: readonly string[]): LiveOutcome {
  return { kind: 'failed', reason: 'features_unusable', detail, features };
}

/**
 * The outcome of users whose features could not be read because the query failed.
 * @param isProven the query fails for this user alone; else for some of them, or for every user
 */
export function queryFailed(detail: string, isProven: boolean): LiveOutcome {
  return { kind: 'failed', reason: isProven ? 'features_failed' : 'live_failed', detail };
}

/**
 * The error of a feature statement. A database that did not answer cost the reader the time: the model has not failed,
 * nor been asked.
 */
export function unread(error: unknown): unknown {
  if (!isTandemError(error, 'unavailable')) return error;
  return new TandemError('live_timeout', `the features could not be read in time: ${error.message}`, { cause: error });
}

export function asFailure(error: unknown): LiveOutcome {
  if (isTandemError(error, 'live_timeout', 'overloaded')) {
    return {
      kind: 'failed',
      reason: error.code === 'overloaded' ? 'overloaded' : 'live_timeout',
      detail: error.message,
    };
  }
  return { kind: 'failed', reason: 'live_failed', detail: error instanceof Error ? error.message : String(error) };
}
