/** Retries calls that are safe to repeat, at growing random intervals and within the client's retry budget. */
import { ProblemError, UnreachableError } from './client-errors.ts';

export interface RetryOptions {
  /** Milliseconds after the first attempt in which a retry may begin; 0 allows one attempt. */
  readonly retryForMs: number;
  readonly budget: RetryBudget;
  readonly random: () => number;
  readonly now: () => number;
  readonly sleep: (ms: number, signal: AbortSignal | undefined) => Promise<void>;
}

const FIRST_PAUSE_MS = 100;
const LONGEST_PAUSE_MS = 5_000;

/** Returns the first success, or rejects with the last error. Use it only for calls that are safe to repeat. */
export async function retry<T>(
  options: RetryOptions,
  signal: AbortSignal | undefined,
  call: () => Promise<T>,
): Promise<T> {
  const { retryForMs, budget, now, sleep } = options;
  const end = now() + retryForMs;
  budget.earn();
  for (let attempt = 0; ; attempt += 1) {
    try {
      return await call();
    } catch (error) {
      const left = end - now();
      const pause = pauseBefore(attempt, error, options.random);
      if (!mayPass(error) || pause > left) throw error;
      const wait = budget.take(left);
      if (wait === undefined) throw error;
      await sleep(Math.max(pause, wait), signal);
    }
  }
}

/** Problems of a single user: a retry would fail again. */
const OF_ONE_USER = ['no_prediction', 'live_failed', 'live_timeout'];

/**
 * Returns whether a retry may succeed: there was no answer, the service is busy or away, or a proxy did not reach it.
 */
function mayPass(error: unknown): boolean {
  if (error instanceof UnreachableError) return true;
  if (!(error instanceof ProblemError) || OF_ONE_USER.includes(error.code)) return false;
  const { status, type, code, retryAfter } = error;
  // The call alone exceeds the key's limit.
  if (code === 'rate_limited' && retryAfter === undefined) return false;
  return status === 429 || status === 503 || (type === 'about:blank' && (status === 502 || status === 504));
}

/** Returns a random pause, at least half of the step, so that clients that failed together do not retry together. */
function pauseBefore(attempt: number, error: unknown, random: () => number): number {
  const step = Math.min(LONGEST_PAUSE_MS, FIRST_PAUSE_MS * 2 ** attempt);
  const pause = step / 2 + (random() * step) / 2;
  const asked = error instanceof ProblemError ? (error.retryAfter ?? 0) * 1000 : 0;
  return Math.max(pause, asked);
}

export function sleepFor(ms: number, signal: AbortSignal | undefined): Promise<void> {
  return new Promise((resolve, reject) => {
    if (signal?.aborted) return reject(signal.reason);
    const timer = setTimeout(() => {
      signal?.removeEventListener('abort', abort);
      resolve();
    }, ms);
    const abort = () => {
      clearTimeout(timer);
      reject(signal?.reason);
    };
    signal?.addEventListener('abort', abort, { once: true });
  });
}

/**
 * The retry budget of a client: a token bucket, where each retry costs one token. Each call earns a tenth of a token.
 * During an outage, retries therefore add at most a tenth to the requests, in addition to the burst and the slow refill
 * (like Finagle's RetryBudget).
 */
type RetryBudget = ReturnType<typeof createRetryBudget>;

/** The cost of a retry, in tenths of a token: whole numbers add up exactly. */
const RETRY = 10;
const CALL = 1;
const MILLISECOND = 0.1;
const CAPACITY = 100 * RETRY;

/** Creates a full budget. */
export function createRetryBudget(now: () => number) {
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
    /** Records the first attempt of a call. */
    earn: () => add(CALL),
    /**
     * Reserves a token for a retry. Returns the milliseconds until the token is available; undefined, without reserving
     * one, if that takes longer than `withinMs`.
     */
    take: (withinMs: number) => {
      refill();
      const wait = tenths >= RETRY ? 0 : (RETRY - tenths) / MILLISECOND;
      if (wait > withinMs) return undefined;
      tenths -= RETRY;
      return wait;
    },
  };
}
