/** Turns the error of a job into BullMQ's terms: try again later, or give up at once. */
import { type ErrorCode, isTandemError, unreachable } from '@tandem/freshness/errors';
import { UnrecoverableError } from 'bullmq';

/** The error to throw out of a job. One that no attempt can mend is wrapped so that BullMQ does not repeat it. */
export function retryOrFail(error: unknown): unknown {
  if (!isTandemError(error) || mayPass(error.code)) return error;
  return new UnrecoverableError(`${error.code}: ${error.message}`);
}

export function isGivenUp(error: unknown): boolean {
  return error instanceof UnrecoverableError;
}

/** Whether the same job may succeed later. */
function mayPass(code: ErrorCode): boolean {
  switch (code) {
    case 'unavailable':
    case 'overloaded':
    case 'rate_limited':
    case 'features_failed':
    case 'live_timeout':
    case 'live_failed':
    case 'features_unusable':
    case 'output_unusable':
    case 'history_changed':
    case 'run_conflict':
    case 'model_refused':
    case 'config_invalid':
      return true;
    case 'invalid_input':
    case 'unknown_predictor':
    case 'unknown_user':
    case 'unknown_run':
    case 'unknown_generation':
    case 'outcome_conflict':
    case 'rollout_conflict':
    case 'never_stable':
    case 'unknown_model_version':
    case 'unknown_rollout':
    case 'unknown_artifact':
    case 'unknown_explanation':
    case 'version_unverified':
    case 'version_archived':
    case 'version_in_use':
    case 'event_conflict':
    case 'context_not_reached':
    case 'not_cached':
    case 'no_prediction':
      return false;
    default:
      return unreachable(code);
  }
}
