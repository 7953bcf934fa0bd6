/**
 * Detects a worker that is alive but idle: work waits, there is room for it, and none is taken; or a running job makes
 * no progress. Restarting the process fixes both, whatever the cause. Pure: the caller provides clock and facts.
 */
import type { JobClass } from './catalog.ts';

/** The state of one job class at one moment. */
interface Sighting {
  /** Jobs ready to be taken; null if the queue does not say, which proves nothing. */
  readonly waiting: number | null;
  readonly running: number;
  readonly concurrency: number;
}

interface WatchdogOptions {
  /** Ms in which no job is taken, while work waits and there is room for it. */
  readonly idleMs: number;
  /** Ms without progress of the jobs of a class that run. */
  readonly stuckMs: Readonly<Record<JobClass, number>>;
}

export interface Watchdog {
  /** Tells that a job was taken. */
  taken(jobClass: JobClass, now: number): void;
  /** Tells that a job under way got on, or ended. */
  progressed(jobClass: JobClass, now: number): void;
  /** Why the worker is dead, or null. */
  look(jobClass: JobClass, sighting: Sighting, now: number): string | null;
}

export function createWatchdog({ idleMs, stuckMs }: WatchdogOptions): Watchdog {
  /** Since when each class has had room and waiting work, and none was taken. */
  const idleSince = new Map<JobClass, number>();
  /** Since when the jobs of each class that run have not got on. */
  const stuckSince = new Map<JobClass, number>();
  return {
    taken(jobClass, now) {
      restart(idleSince, jobClass, now);
      restart(stuckSince, jobClass, now);
    },
    progressed: (jobClass, now) => restart(stuckSince, jobClass, now),
    look(jobClass, { waiting, running, concurrency }, now) {
      const idleForMs = heldFor(idleSince, jobClass, running < concurrency && (waiting ?? 0) > 0, now);
      if (idleForMs !== null && idleForMs >= idleMs) {
        return `${waiting} ${jobClass} jobs wait, and none was taken for ${Math.round(idleForMs / 1000)} s`;
      }
      const stuckForMs = heldFor(stuckSince, jobClass, running > 0, now);
      if (stuckForMs !== null && stuckForMs >= stuckMs[jobClass]) {
        return `${running} ${jobClass} jobs run without progress for ${Math.round(stuckForMs / 1000)} s`;
      }
      return null;
    },
  };
}

/** How long a condition has held by now, in ms; null if it does not hold. */
function heldFor(since: Map<JobClass, number>, jobClass: JobClass, holds: boolean, now: number): number | null {
  if (!holds) {
    since.delete(jobClass);
    return null;
  }
  const start = since.get(jobClass) ?? now;
  since.set(jobClass, start);
  return now - start;
}

function restart(since: Map<JobClass, number>, jobClass: JobClass, now: number): void {
  if (since.has(jobClass)) since.set(jobClass, now);
}
