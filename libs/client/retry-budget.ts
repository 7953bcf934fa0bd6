/**
 * The retry budget of a client: a token bucket, where each retry costs one token. Each call earns a tenth of a token.
 * During an outage, retries therefore add at most a tenth to the requests, in addition to the burst and the slow refill
 * (like Finagle's RetryBudget).
 */
export interface RetryBudget {
  /** Records the first attempt of a call. */
  earn(): void;
  /**
   * Reserves a token for a retry. Returns the milliseconds until the token is available; undefined, without reserving
   * one, if that takes longer than `withinMs`.
   */
  take(withinMs: number): number | undefined;
}

/** The cost of a retry, in tenths of a token: whole numbers add up exactly. */
const RETRY = 10;
const CALL = 1;
const MILLISECOND = 0.1;
const CAPACITY = 100 * RETRY;

/** Creates a full budget. */
export function createRetryBudget(now: () => number): RetryBudget {
  let tenths = CAPACITY;
  let refilledAt = now();
  const add = (count: number) => {
    tenths = Math.min(CAPACITY, tenths + count);
  };
  const refill = () => {
    const at = now();
    add(Math.max(0, at - refilledAt) * MILLISECOND);
    refilledAt = at;
  };
  return {
    earn: () => add(CALL),
    take: (withinMs) => {
      refill();
      const wait = tenths >= RETRY ? 0 : (RETRY - tenths) / MILLISECOND;
      if (wait > withinMs) return undefined;
      tenths -= RETRY;
      return wait;
    },
  };
}
