/**
 * Reads for tests that expect fresh answers. A read waits 250 ms for its certificate, and a busy machine may need longer.
 * Then the answer is marked as unverified, or the read fails as unavailable, and the same read is sent again.
 */
import { setTimeout as pause } from 'node:timers/promises';
import type { Tandem } from '@tandem/embedded';

const POLL_MS = 10;
const WITHIN_MS = 120_000;

/** Returns the first result of the read that is certified for every user. After the time limit, returns any result. */
export async function certified<T>(read: () => Promise<T>): Promise<T> {
  const deadline = performance.now() + WITHIN_MS;
  for (;;) {
    const isLast = performance.now() > deadline;
    try {
      const result = await read();
      if (isLast || !asList(result).some(isUncertified)) return result;
    } catch (error) {
      if (isLast || !isUncertified(error)) throw error;
    }
    await pause(POLL_MS);
  }
}

/** Returns the reader with reads that are repeated while their certificates take too long. */
export function repeating(tandem: Tandem): Tandem {
  return {
    read: (...asked) => certified(() => tandem.read(...asked)),
    readMany: (...asked) => certified(() => tandem.readMany(...asked)),
    rank: (...asked) => certified(() => tandem.rank(...asked)),
    infer: (...asked) => certified(() => tandem.infer(...asked)),
    metrics: () => tandem.metrics(),
    close: () => tandem.close(),
  };
}

const asList = (result: unknown): readonly unknown[] => (Array.isArray(result) ? result : [result]);

/** Returns whether an error, an answer, or a result with an answer or a problem lacks a certificate. */
function isUncertified(found: unknown): boolean {
  if (typeof found !== 'object' || found === null) return false;
  const { reason, code, type, answer, problem, retryAfter } = found as Readonly<Record<string, unknown>>;
  // A closed reader is also unavailable, but names no time for a retry.
  if (reason === 'unverified' || (code === 'unavailable' && retryAfter !== undefined)) return true;
  return String(type).endsWith(':unavailable') || isUncertified(answer) || isUncertified(problem);
}
