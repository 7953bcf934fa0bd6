/** Turns users whose features could not be read, or whose inference failed, into outcomes. */

import { isTandemError, TandemError } from '@tandem/freshness/errors';
import { CALLER_GONE, type LiveOutcome } from '@tandem/freshness/live-predictor';
import type { IsolatedScores } from '../scoring/isolate-poison.ts';

/** Returns the failure of a row of `faults`. */
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
 * Returns the outcome of users that the feature query failed for.
 * @param detail the message of Postgres if `isProven`; else a text without a user's values
 * @param isProven whether the query fails for this user alone; else it fails for some of the users, or for all
 */
export function queryFailed(detail: string, isProven: boolean): LiveOutcome {
  return { kind: 'failed', reason: isProven ? 'features_failed' : 'live_failed', detail };
}

/**
 * Returns the error of a feature statement. If the database did not answer, it is a `live_timeout`: the model did not
 * fail, and was not even asked.
 */
export function unread(error: unknown): unknown {
  if (!isTandemError(error, 'unavailable')) return error;
  return new TandemError('live_timeout', `the features could not be read in time: ${error.message}`, { cause: error });
}

export function asFailure(error: unknown): LiveOutcome {
  if (isTandemError(error, 'caller_gone')) return CALLER_GONE;
  if (isTandemError(error, 'live_timeout', 'overloaded')) {
    return {
      kind: 'failed',
      reason: error.code === 'overloaded' ? 'overloaded' : 'live_timeout',
      detail: error.message,
    };
  }
  return { kind: 'failed', reason: 'live_failed', detail: error instanceof Error ? error.message : String(error) };
}
