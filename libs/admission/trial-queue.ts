/**
 * Trials one at a time: each takes a process and its memory beside those that serve. One more may wait; whoever comes then
 * is told to come back, rather than to wait for who knows how long.
 */
import { TandemError } from '@tandem/freshness/errors';
import { OneAtATime } from '@tandem/timing/one-at-a-time';

export interface TrialQueue {
  /** Rejects with `overloaded` where a trial is under way and another waits. */
  run<T>(trial: () => Promise<T>): Promise<T>;
}

/** About what a trial takes. */
const RETRY_AFTER_SECONDS = 10;

export function createTrialQueue(): TrialQueue {
  return new OneAtATime({ mayWait: 1, refuse: busy });
}

function busy(): TandemError {
  return new TandemError('overloaded', 'Another model is being tried, and one more waits.', {
    retryAfter: RETRY_AFTER_SECONDS,
    remedy: 'try again after the time in Retry-After; what was uploaded is kept',
  });
}
