/**
 * Rejects promises that are not settled in time, whatever they wait for. One timer for all of them: a timer each costs
 * more than the statement's own share of a read.
 */
import { TandemError } from '@tandem/prediction/errors';

interface Pending {
  readonly deadline: number;
  readonly reject: (error: TandemError) => void;
}

/** How often deadlines are looked at, in parts of the time limit: a rejection comes at most that much before it. */
const TICKS = 10;

/** Returns a function that gives its promise's outcome, or `unavailable` within `timeoutMs`. */
export function createDeadlines(timeoutMs: number) {
  const tickMs = timeoutMs / TICKS;
  const pending = new Set<Pending>();
  let ticker: NodeJS.Timeout | undefined;

  function tick(): void {
    const now = performance.now();
    for (const one of pending) {
      // All have the same limit, so those that came later are due later.
      if (one.deadline > now) break;
      pending.delete(one);
      one.reject(tooLate(timeoutMs));
    }
    if (pending.size > 0) return;
    clearInterval(ticker);
    ticker = undefined;
  }

  return function within<T>(question: Promise<T>): Promise<T> {
    return new Promise<T>((resolve, reject) => {
      const one: Pending = { deadline: performance.now() + timeoutMs - tickMs, reject };
      pending.add(one);
      ticker ??= setInterval(tick, tickMs);
      question.then(
        (answer) => {
          pending.delete(one);
          resolve(answer);
        },
        (error: unknown) => {
          pending.delete(one);
          reject(error);
        },
      );
    });
  };
}

function tooLate(timeoutMs: number): TandemError {
  return new TandemError('unavailable', 'The database does not answer at the moment.', {
    detail: `no answer within ${timeoutMs} ms`,
    retryAfter: 1,
    remedy: 'try again after the time in Retry-After',
  });
}
