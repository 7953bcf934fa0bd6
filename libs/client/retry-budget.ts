/**
 * The retry budget of a client: a bucket of tokens, one a retry. Each call earns a share of a token, so that an outage
 * receives at most a tenth more requests than the application makes calls, besides the burst and the slow refill (as
 * Finagle's RetryBudget).
 */
export interface RetryBudget {
  /** Records the first attempt of a call. */
  earn(): void;
  /**
   * Reserves a token for a retry. Returns the milliseconds until the token is there; undefined, without reserving one,
   * if that takes longer than `withinMs`.
   */
  take(withinMs: number): number | undefined;
}

const CAPACITY = 100;
const TOKENS_PER_CALL = 0.1;
const TOKENS_PER_MS = 0.01;

/** Creates a full budget. */
export function createRetryBudget(now: () => number): RetryBudget {
  let tokens = CAPACITY;
  let refilledAt = now();
  const add = (count: number) => {
    tokens = Math.min(CAPACITY, tokens + count);
  };
  const refill = () => {
    const at = now();
    add(Math.max(0, at - refilledAt) * TOKENS_PER_MS);
    refilledAt = at;
  };
  return {
    earn: () => add(TOKENS_PER_CALL),
    take: (withinMs) => {
      refill();
      const wait = tokens >= 1 ? 0 : (1 - tokens) / TOKENS_PER_MS;
      if (wait > withinMs) return undefined;
      tokens -= 1;
      return wait;
    },
  };
}
