/** Retries calls that are safe to repeat, at growing random intervals and within the client's retry budget. */
import { ProblemError, UnreachableError } from './client-errors.ts';
import type { RetryBudget } from './retry-budget.ts';

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
