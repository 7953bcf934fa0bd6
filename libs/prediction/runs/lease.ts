/**
 * Renews the lease of a chunk or a step while a worker processes it. Only Postgres decides whether the lease is lost. A
 * renewal without an answer changes nothing, since the fence guards every write.
 */
export interface LeaseTimes {
  /**
   * How long a chunk or step stays claimed without a renewal. After a kill, another worker can claim it this much
   * later.
   */
  readonly leaseMs: number;
  /** The time between two renewals, at most a second. */
  readonly renewMs: number;
}

/** A renewal detects within a second that a run was cancelled. The lease of a shorter chunk is never renewed. */
const LONGEST_RENEW_MS = 1_000;

export type HeldLease = ReturnType<typeof holdLease>;

/**
 * Renews a lease until it is released; the lease itself then expires. `lost` aborts when another worker holds the chunk
 * or step, or the run has ended: the work is then useless.
 * @param renew extends the lease; returns false if the fence is lost
 */
export function holdLease(renew: (leaseMs: number) => Promise<boolean>, times: LeaseTimes) {
  const controller = new AbortController();
  let renewing = false;
  // `repeat` would renew immediately, although most chunks end before their first renewal.
  const timer = setInterval(
    () => {
      // While a renewal waits for a slow database, no other begins.
      if (renewing) return;
      renewing = true;
      renew(times.leaseMs)
        .then((held) => {
          if (!held) controller.abort();
        })
        .catch(() => undefined)
        .finally(() => {
          renewing = false;
        });
    },
    Math.min(LONGEST_RENEW_MS, times.renewMs),
  );
  return { lost: controller.signal, release: () => clearInterval(timer) };
}
