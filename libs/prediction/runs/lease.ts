/**
 * Keeps the lease of a chunk or a step alive while it is worked on. Only Postgres says whether it is lost: a renewal
 * without an answer changes nothing, since every write is guarded by the fence anyway.
 */
export interface LeaseTimes {
  /** How long a chunk or step stays claimed without a renewal: after a kill, another worker takes it this much later. */
  readonly leaseMs: number;
  /** Time between two renewals, at most a second. */
  readonly renewMs: number;
}

/** The next renewal finds that a run was cancelled: within a second. A chunk that takes less than that is never renewed. */
const LONGEST_RENEW_MS = 1_000;

export interface HeldLease {
  /** Aborted when another worker holds the chunk or step, or the run has ended: the work is no longer needed. */
  readonly lost: AbortSignal;
  /** Stops the renewals; the lease itself runs out. */
  release(): void;
}

/** @param renew extends the lease; false if the fence is lost */
export function holdLease(renew: (leaseMs: number) => Promise<boolean>, times: LeaseTimes): HeldLease {
  const controller = new AbortController();
  let renewing = false;
  // Not `repeat`, which would renew at once: most chunks end before their first renewal.
  const timer = setInterval(
    () => {
      // A renewal that waits for a slow database is not overtaken by the next.
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
