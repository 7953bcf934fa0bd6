/**
 * Reads for tests that expect fresh answers. A read waits 250 ms for its certificate, and a busy machine may need longer.
 * Then the answer is marked as unverified, or the read fails because it was not certified, and the same read is sent
 * again. Other failures are results of the test, also those that name a time for a retry.
 */
import { setTimeout as pause } from 'node:timers/promises';
import type { Tandem } from '@tandem/embedded';
import { notCertified } from '@tandem/freshness/errors';
import { tooLate } from '@tandem/offline-store/sql/database';

const POLL_MS = 50;
/** The most attempts of a read. Each waits for a certificate, so they count in reads, not in time. */
const ATTEMPTS = 40;
/** The texts of reads, and of `infer`, which names the database itself. */
const NOT_CERTIFIED: ReadonlySet<unknown> = new Set([notCertified(undefined).message, tooLate(0).message]);

/** Returns the first result of the read that is certified for every user. The last attempt returns any result. */
export async function certified<T>(read: () => Promise<T>): Promise<T> {
  for (let attempt = 1; ; attempt++) {
    const isLast = attempt === ATTEMPTS;
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
  const { reason, message, detail, answer, problem } = found as Readonly<Record<string, unknown>>;
  if (reason === 'unverified' || NOT_CERTIFIED.has(message) || NOT_CERTIFIED.has(detail)) return true;
  return isUncertified(answer) || isUncertified(problem);
}
