/**
 * Creates the runs that are due. Postgres is the truth: its clock decides which are due, and a unique slot makes any number
 * of schedulers create one run. After a downtime only the newest missed slot runs: older slots would compute the same
 * predictions.
 */
import { isTandemError } from '@tandem/freshness/errors';
import type { Budget } from './budget.ts';
import type { NewRun, RunHints, RunStore } from './run-store.ts';

/** An arm of a predictor with a schedule. */
export interface Schedule {
  readonly predictor: string;
  /** The arm: the stable one, or one of a rollout, whose model version is computed beside it. */
  readonly variant: string;
  /** Cron expression in UTC. */
  readonly schedule: string;
  /** Whether it is of changed users; else of everyone. */
  readonly isOfChanged: boolean;
  /** The budget of each of its runs; null: no limit. */
  readonly budget: Budget | null;
  /** The last slot that was run; for a schedule that never ran, the time of its adoption. */
  readonly after: Date;
}

/** Port to the schedules of active predictors. */
export interface ScheduleStore {
  /** `now` is Postgres' clock. Of an arm's two schedules that of everyone is first. */
  schedules(): Promise<{ readonly now: Date; readonly schedules: readonly Schedule[] }>;
}

export interface ScheduleRunsDependencies {
  readonly schedules: ScheduleStore;
  readonly runs: Pick<RunStore, 'create'>;
  readonly hints: RunHints;
  /** The latest slot of a cron expression that is not after a moment. */
  latestSlot(schedule: string, at: Date): Date;
}

interface ScheduledRun {
  readonly predictor: string;
  readonly slot: Date;
  readonly runId: string;
}

interface ScheduleReport {
  readonly made: readonly ScheduledRun[];
  /** Predictors whose run could not be created; their slots stay due. */
  readonly failed: readonly { readonly predictor: string; readonly error: unknown }[];
}

/**
 * Creates the due runs, and returns those that this call created. A slot that is due during an unfinished run of its
 * predictor runs after it, if no newer slot is due by then. Rejects where the schedules cannot be read.
 */
export async function scheduleRuns(dependencies: ScheduleRunsDependencies): Promise<ScheduleReport> {
  const { schedules, runs, hints, latestSlot } = dependencies;
  const { now, schedules: all } = await schedules.schedules();
  const made: ScheduledRun[] = [];
  const failed: { predictor: string; error: unknown }[] = [];
  /** Slots of runs of all users by arm that are due, or were due until now. */
  const ofEveryone = new Map<string, Date>();
  for (const one of all) {
    const { predictor, variant, schedule, isOfChanged, after } = one;
    try {
      const slot = latestSlot(schedule, now);
      if (slot <= after) continue;
      const arm = `${predictor} ${variant}`;
      if (!isOfChanged) ofEveryone.set(arm, slot);
      // It is a run of changed users, too, and a slot makes one run of an arm.
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

/** A budget that cannot be kept, since an earlier release is alive, is left out: the slot is run all the same. */
async function createWithin(runs: ScheduleRunsDependencies['runs'], schedule: Schedule, slot: Date) {
  try {
    return await runs.create(runOf(schedule, slot));
  } catch (error) {
    if (!isTandemError(error, 'run_conflict') || error.field !== 'budget') throw error;
    return runs.create({ ...runOf({ ...schedule, budget: null }, slot), note: `no budget: ${error.message}` });
  }
}

/**
 * Returns the run of a schedule. With a budget, a run of changed users chooses its users: changed users first, then
 * others.
 */
function runOf({ predictor, variant, isOfChanged, budget }: Schedule, scheduleSlot: Date): NewRun {
  const kind = isOfChanged && budget === null ? 'stale' : 'all';
  return { predictor, variant, scope: { kind }, reason: 'schedule', scheduleSlot, budget, isOfChanged };
}

/**
 * Another run is under way; or the predictor or the arm was removed since; or its version has no predictions to store.
 */
const NOT_NOW = ['run_conflict', 'unknown_predictor', 'invalid_input', 'request_features_required'] as const;
