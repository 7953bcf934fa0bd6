/** Repeats a call that is safe to repeat: after an outage that may pass, at growing, random distances. */
import { ProblemError, UnreachableError } from './client-errors.ts';

export interface RetryOptions {
  /** Milliseconds from the first attempt after which no other begins. */
  readonly retryForMs: number;
  readonly random: () => number;
  readonly now: () => number;
  readonly sleep: (ms: number, signal: AbortSignal | undefined) => Promise<void>;
}

const FIRST_PAUSE_MS = 100;
const LONGEST_PAUSE_MS = 5_000;

/** Gives the first success, or the last error. Only use it for calls whose repetition changes nothing. */
export async function retry<T>(
  options: RetryOptions,
  signal: AbortSignal | undefined,
  call: () => Promise<T>,
): Promise<T> {
  const { retryForMs, now, sleep } = options;
  const end = now() + retryForMs;
  for (let attempt = 0; ; attempt += 1) {
    try {
      return await call();
    } catch (error) {
      if (!mayPass(error)) throw error;
      const pause = pauseBefore(attempt, error, options.random);
      if (now() + pause > end) throw error;
      await sleep(pause, signal);
    }
  }
}

/** 503 and 429 are refusals that name no fault of the request; without an answer its effect is unknown. */
function mayPass(error: unknown): boolean {
  if (error instanceof UnreachableError) return true;
  return error instanceof ProblemError && (error.status === 503 || error.status === 429);
}

/** Full jitter above half of the step, so that clients that failed together do not come back together. */
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
