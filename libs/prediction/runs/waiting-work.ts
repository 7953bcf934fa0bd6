/** Finds the work that waits for workers, with deadlines: unfinished runs, and other work that only workers do. */
import type { WaitingRun, WaitingWork } from './desired-workers.ts';
import type { GenerationLoader } from './online-generations.ts';
import { findNotLoaded } from './reconcile.ts';
import type { GenerationStore } from './run-store.ts';
import type { ScheduleStore } from './schedule-runs.ts';

/** An unfinished run, as Postgres returns it. */
export interface UnfinishedWork extends Omit<WaitingRun, 'secondsLeft'> {
  readonly createdAt: Date;
  /** The predictor's schedule for runs of this kind: a cron expression in UTC, or null. */
  readonly schedule: string | null;
}

/** Port to waiting work. Each call is cheap, however much work waits. */
export interface WorkStore {
  unfinishedWork(): Promise<readonly UnfinishedWork[]>;
  /** Returns the kinds of other waiting work. */
  chores(): Promise<readonly string[]>;
}

interface WaitingWorkDependencies {
  readonly work: WorkStore;
  readonly schedules: ScheduleStore;
  readonly generations: Pick<GenerationStore, 'inForce'>;
  readonly loader: Pick<GenerationLoader, 'isLoaded'>;
  latestSlot(schedule: string, at: Date): Date;
  nextSlot(schedule: string, at: Date): Date;
  /**
   * A run must end within this many ms after its request, or before the next slot of its schedule if that is earlier.
   */
  readonly deadlineMs: number;
}

/** Finds waiting work. Rejects if Postgres does not answer. Loads are omitted if Redis does not answer. */
export async function findWaitingWork(dependencies: WaitingWorkDependencies): Promise<WaitingWork> {
  const { work, schedules: store, generations, loader, latestSlot, nextSlot, deadlineMs } = dependencies;
  const { now, schedules } = await store.schedules();
  const isDue = schedules.some(({ schedule, after }) => latestSlot(schedule, now) > after);
  const notLoaded = await findNotLoaded(await generations.inForce(), loader).catch(() => []);
  const chores = [...(await work.chores()), ...(isDue ? ['schedule'] : []), ...(notLoaded.length > 0 ? ['load'] : [])];
  const unfinished = await work.unfinishedWork();
  const runs = unfinished.map(({ createdAt, schedule, ...run }) => {
    const latest = createdAt.getTime() + deadlineMs;
    const deadline = schedule === null ? latest : Math.min(latest, nextSlot(schedule, createdAt).getTime());
    return { ...run, secondsLeft: (deadline - now.getTime()) / 1_000 };
  });
  return { runs, chores };
}
