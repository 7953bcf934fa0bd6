/**
 * Notices a worker that lives and does nothing: work waits, there is room for it, and none is taken; or a job that runs
 * and makes no progress. Restarting the process mends both, whatever the cause. Pure: the caller brings clock and facts.
 */
import type { JobClass } from './catalog.ts';

/** What is seen of one job class at one moment. */
export interface Sighting {
  /** Jobs ready to be taken; null where the queue does not say, which proves nothing. */
  readonly waiting: number | null;
  readonly running: number;
  readonly concurrency: number;
}

export interface WatchdogOptions {
  /** Ms without progress, while work waits and there is room for it. */
  readonly idleMs: number;
  /** Ms without progress of a class whose places are taken. */
  readonly stuckMs: number;
}

export interface Watchdog {
  /** Tells of progress: a job taken, ended, or under way. */
  progressed(jobClass: JobClass, now: number): void;
  /** Why the worker is dead, or null. */
  look(jobClass: JobClass, sighting: Sighting, now: number): string | null;
}

export function createWatchdog({ idleMs, stuckMs }: WatchdogOptions): Watchdog {
  /** Since when each class has had something to do and no progress. */
  const pendingSince = new Map<JobClass, number>();
  return {
    progressed(jobClass, now) {
      if (pendingSince.has(jobClass)) pendingSince.set(jobClass, now);
    },
    look(jobClass, { waiting, running, concurrency }, now) {
      const nothingToDo = running === 0 && (waiting ?? 0) === 0;
      if (nothingToDo) pendingSince.delete(jobClass);
      if (nothingToDo) return null;
      const since = pendingSince.get(jobClass) ?? now;
      pendingSince.set(jobClass, since);
      const ms = now - since;
      if (running < concurrency && (waiting ?? 0) > 0 && ms >= idleMs) {
        return `${waiting} ${jobClass} jobs wait, and none was taken for ${Math.round(ms / 1000)} s`;
      }
      if (running > 0 && ms >= stuckMs) {
        return `${running} ${jobClass} jobs run without progress for ${Math.round(ms / 1000)} s`;
      }
      return null;
    },
  };
}
