/**
 * The loops that every worker runs beside its jobs: one makes due runs, one brings back in line what is derived, and a
 * slower one drops what is not kept. None waits for another: a look at all of Redis must not hold up the next hint.
 */
import { createReconcile, type ReconcileDependencies } from '@tandem/prediction/reconcile';
import { type RetainDependencies, retain } from '@tandem/prediction/retain';
import { type ScheduleRunsDependencies, scheduleRuns } from '@tandem/prediction/schedule-runs';
import type { Log } from '@tandem/telemetry/log';
import { type Repeating, repeat } from './repeat.ts';

export interface HousekeepingDependencies {
  readonly reconciling: ReconcileDependencies;
  readonly retaining: RetainDependencies;
  readonly scheduling: ScheduleRunsDependencies;
  readonly log: Log;
  readonly reconcileEveryMs?: number;
  readonly scheduleEveryMs?: number;
  readonly retainEveryMs?: number;
}

export function startHousekeeping(dependencies: HousekeepingDependencies): Repeating {
  const { reconciling, retaining, scheduling, log } = dependencies;
  const { reconcileEveryMs = 3_000, scheduleEveryMs = 5_000, retainEveryMs = 60_000 } = dependencies;
  const reconcile = createReconcile(reconciling);
  const loops = [
    repeat(reconcileEveryMs, async () => {
      const { unfinishedRuns: _, errors, ...done } = await reconcile();
      tellRound('reconcile', done, errors, log);
    }),
    repeat(retainEveryMs, async () => {
      const { errors, ...done } = await retain(retaining);
      tellRound('retention', done, errors, log);
    }),
    repeat(scheduleEveryMs, () => makeDueRuns(scheduling, log)),
  ];
  return { stop: async () => void (await Promise.all(loops.map((loop) => loop.stop()))) };
}

async function makeDueRuns(scheduling: ScheduleRunsDependencies, log: Log): Promise<void> {
  try {
    const { made, failed } = await scheduleRuns(scheduling);
    for (const run of made) log.info('run.scheduled', { ...run });
    for (const { predictor, error } of failed) log.warn('schedule.failed', { predictor, error });
  } catch (error) {
    log.warn('schedule.failed', { error });
  }
}

type Counts = Readonly<Record<string, number>>;

/** Rounds that found nothing to do are not worth a line. */
function tellRound(what: 'reconcile' | 'retention', done: Counts, errors: readonly string[], log: Log): void {
  if (errors.length > 0) log.warn(`${what}.failed`, { ...done, errors });
  else if (Object.values(done).some((count) => count > 0)) log.info(`${what}.done`, done);
}
