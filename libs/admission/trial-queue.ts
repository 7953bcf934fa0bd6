/**
 * Runs trials one at a time, since each needs a process with its memory beside the serving processes. One more trial
 * may wait. Further callers are rejected, with the time after which to retry.
 */
import { TandemError } from '@tandem/freshness/errors';
import { OneAtATime } from '@tandem/timing/one-at-a-time';

export interface TrialQueue {
  /** Runs a trial. Rejects with `overloaded` if a trial is running and another waits. */
  run<T>(trial: () => Promise<T>): Promise<T>;
}

/** The usual duration of a trial. */
const RETRY_AFTER_SECONDS = 10;

export function createTrialQueue(): TrialQueue {
  return new OneAtATime({ mayWait: 1, refuse: busy });
}

function busy(): TandemError {
  return new TandemError('overloaded', 'Another model is being tried, and one more waits.', {
    retryAfter: RETRY_AFTER_SECONDS,
    remedy: 'retry after the time in Retry-After; uploaded parts are kept',
  });
}
