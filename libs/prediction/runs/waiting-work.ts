/** What waits for workers, with deadlines: unfinished runs, and the work beside runs that only workers do. */
import type { WaitingRun, WaitingWork } from './desired-workers.ts';
import type { ScheduleStore } from './schedule-runs.ts';

/** An unfinished run as Postgres knows it. */
export interface UnfinishedWork extends Omit<WaitingRun, 'secondsLeft'> {
  readonly createdAt: Date;
  /** Of runs of its kind: a cron expression in UTC, or null. */
  readonly schedule: string | null;
}

/** Port to what waits; each call asks for little, however much waits. */
export interface WorkStore {
  unfinishedWork(): Promise<readonly UnfinishedWork[]>;
  /** Kinds of work beside runs that wait. */
  chores(): Promise<readonly string[]>;
}

interface WaitingWorkDependencies {
  readonly work: WorkStore;
  readonly schedules: ScheduleStore;
  latestSlot(schedule: string, at: Date): Date;
  nextSlot(schedule: string, at: Date): Date;
  /** A run is to end so many ms after it was asked for, or before the next slot of its schedule if that is earlier. */
  readonly deadlineMs: number;
}

/** Rejects where Postgres does not answer. */
export async function findWaitingWork(dependencies: WaitingWorkDependencies): Promise<WaitingWork> {
  const { work, schedules: store, latestSlot, nextSlot, deadlineMs } = dependencies;
  const { now, schedules } = await store.schedules();
  const isDue = schedules.some(({ schedule, after }) => latestSlot(schedule, now) > after);
  const chores = await work.chores();
  const unfinished = await work.unfinishedWork();
  const runs = unfinished.map(({ createdAt, schedule, ...run }) => {
    const latest = createdAt.getTime() + deadlineMs;
    const deadline = schedule === null ? latest : Math.min(latest, nextSlot(schedule, createdAt).getTime());
    return { ...run, secondsLeft: (deadline - now.getTime()) / 1_000 };
  });
  return { runs, chores: isDue ? [...chores, 'schedule'] : chores };
}
