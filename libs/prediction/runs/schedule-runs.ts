/**
 * Creates the runs that are due. Postgres' clock decides which runs are due. Slots are unique in Postgres, so any
 * number of schedulers create one run. After a downtime only the newest missed slot runs: older slots would compute the
 * same predictions.
 */
import { isTandemError } from '@tandem/freshness/errors';
import type { Budget } from './budget.ts';
import type { NewRun, RunHints, RunStore } from './run-store.ts';

/** An arm of a predictor with a schedule. */
export interface Schedule {
  readonly predictor: string;
  /** The arm: the stable arm, or the arm of a rollout, whose model version has separate runs. */
  readonly variant: string;
  /** Cron expression in UTC. */
  readonly schedule: string;
  /** Whether it schedules runs of changed users, rather than of all users. */
  readonly isOfChanged: boolean;
  /** The budget of each of its runs; null if there is no limit. */
  readonly budget: Budget | null;
  /** The last slot with a run; for a schedule without one, the time of its adoption. */
  readonly after: Date;
}

/** Port to the schedules of active predictors. */
export interface ScheduleStore {
  /**
   * Returns the schedules and Postgres' clock as `now`. Of an arm's two schedules, the schedule of all users comes
   * first.
   */
  schedules(): Promise<{ readonly now: Date; readonly schedules: readonly Schedule[] }>;
}

export interface ScheduleRunsDependencies {
  readonly schedules: ScheduleStore;
  readonly runs: Pick<RunStore, 'create'>;
  readonly hints: RunHints;
  /** Returns the latest slot of a cron expression that is not after the given time. */
  latestSlot(schedule: string, at: Date): Date;
}

/**
 * Creates the due runs, and returns the runs that this call created. A slot that is due during an unfinished run of its
 * predictor runs after that run, unless a newer slot is due by then. Rejects if the schedules cannot be read.
 */
export async function scheduleRuns(dependencies: ScheduleRunsDependencies) {
  const { schedules, runs, hints, latestSlot } = dependencies;
  const { now, schedules: all } = await schedules.schedules();
  const made: { predictor: string; slot: Date; runId: string }[] = [];
  /** Predictors whose run could not be created. Their slots stay due. */
  const failed: { predictor: string; error: unknown }[] = [];
  /** The slots of runs of all users that are due or were just run, by arm. */
  const ofEveryone = new Map<string, Date>();
  for (const one of all) {
    const { predictor, variant, schedule, isOfChanged, after } = one;
    try {
      const slot = latestSlot(schedule, now);
      if (slot <= after) continue;
      const arm = `${predictor} ${variant}`;
      if (!isOfChanged) ofEveryone.set(arm, slot);
      // A run of all users includes the changed users, and an arm has one run for each slot.
      else if ((ofEveryone.get(arm) ?? after) >= slot) continue;
      const { run, created } = await createWithin(runs, one, slot);
      if (!created) continue;
      await hints.plan(run.id);
      made.push({ predictor, slot, runId: run.id });
    } catch (error) {
      if (!isTandemError(error, ...NOT_NOW)) failed.push({ predictor, error });
    }
  }
  return { made, failed };
}

/**
 * Creates a run. If an earlier release is running, which cannot keep a budget, the run is created without its budget.
 */
async function createWithin(runs: ScheduleRunsDependencies['runs'], schedule: Schedule, slot: Date) {
  try {
    return await runs.create(runOf(schedule, slot));
  } catch (error) {
    if (!isTandemError(error, 'run_conflict') || error.field !== 'budget') throw error;
    return runs.create({ ...runOf({ ...schedule, budget: null }, slot), note: `no budget: ${error.message}` });
  }
}

/**
 * Returns the run of a schedule. With a budget, a run of changed users has scope `all` and chooses its users: changed
 * users first, then others.
 */
function runOf({ predictor, variant, isOfChanged, budget }: Schedule, scheduleSlot: Date): NewRun {
  const kind = isOfChanged && budget === null ? 'stale' : 'all';
  return { predictor, variant, scope: { kind }, reason: 'schedule', scheduleSlot, budget, isOfChanged };
}

/**
 * The codes of errors which mean that no run is possible now: another run is unfinished, the predictor or arm was
 * removed, or its version has no predictions to store.
 */
const NOT_NOW = ['run_conflict', 'unknown_predictor', 'invalid_input', 'request_features_required'] as const;
