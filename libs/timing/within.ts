/** Limits the time of work that cannot be cancelled. */

/**
 * Waits for work for at most `ms`, which is 0 or less if a deadline has passed. Resolves or rejects as the work does,
 * or rejects with `tooLate()` when the time is over. The work then continues, and its later failure is ignored.
 */
export async function within<T>(ms: number, work: Promise<T>, tooLate: () => Error): Promise<T> {
  const { promise: late, reject } = Promise.withResolvers<never>();
  const timer = setTimeout(() => reject(tooLate()), Math.max(0, ms));
  try {
    return await Promise.race([work, late]);
  } finally {
    clearTimeout(timer);
    work.catch(() => undefined);
  }
}
