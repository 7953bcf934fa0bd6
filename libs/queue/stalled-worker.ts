/**
 * Detects a worker that is alive but stalled: work waits, there is room for it, and none is taken; or running jobs make
 * no progress. Restarting the process fixes both, whatever the cause. The functions are pure: the caller provides clock
 * and state.
 */
import type { JobClass } from './catalog.ts';

/** The state of one job class at one moment. */
interface Sighting {
  /** The number of jobs that are ready; null if the queue did not answer, which proves nothing. */
  readonly waiting: number | null;
  readonly running: number;
  readonly concurrency: number;
}

interface WatchdogOptions {
  /** Milliseconds after which the worker is dead if work waits, there is room, and it takes no job. */
  readonly idleMs: number;
  /** Milliseconds without progress of a class's running jobs after which the worker is dead. */
  readonly stuckMs: number;
}

export interface Watchdog {
  /** Records that a job was taken. */
  taken(jobClass: JobClass, now: number): void;
  /** Records that a running job made progress, or ended. */
  progressed(jobClass: JobClass, now: number): void;
  /** Returns why the worker is dead; null if it is not. */
  look(jobClass: JobClass, sighting: Sighting, now: number): string | null;
}

export function createWatchdog({ idleMs, stuckMs }: WatchdogOptions): Watchdog {
  /** The time since which no job was taken, for each class that has room and waiting work. */
  const idleSince = new Map<JobClass, number>();
  /** The time since which the running jobs of each class have made no progress. */
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
      if (stuckForMs !== null && stuckForMs >= stuckMs) {
        return `${running} ${jobClass} jobs run without progress for ${Math.round(stuckForMs / 1000)} s`;
      }
      return null;
    },
  };
}

/** Returns how long a condition has held, in ms; null if it does not hold. */
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
