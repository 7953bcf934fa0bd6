/**
 * Keeps a chunk's lease alive while it is worked on. Only Postgres says whether it is lost: a renewal that fails for
 * want of an answer changes nothing, since the commit is guarded by the fence anyway.
 */
import type { RunStore } from './run-store.ts';
import type { ClaimedChunk } from './runs.ts';

export interface LeaseTimes {
  /** How long a chunk stays claimed without a renewal: after a kill, another worker takes it this much later. */
  readonly leaseMs: number;
  readonly renewMs: number;
}

export interface HeldLease {
  /** Aborted when another worker holds the chunk, or the run has ended: the work is worth nothing any more. */
  readonly lost: AbortSignal;
  /** Stops the renewals; the lease itself runs out. */
  release(): void;
}

export function holdLease(runs: Pick<RunStore, 'renew'>, chunk: ClaimedChunk, times: LeaseTimes): HeldLease {
  const controller = new AbortController();
  let renewing = false;
  const timer = setInterval(() => {
    // A renewal that waits for a slow database is not overtaken by the next.
    if (renewing) return;
    renewing = true;
    runs
      .renew(chunk, times.leaseMs)
      .then((held) => {
        if (!held) controller.abort();
      })
      .catch(() => undefined)
      .finally(() => {
        renewing = false;
      });
  }, times.renewMs);
  return { lost: controller.signal, release: () => clearInterval(timer) };
}
