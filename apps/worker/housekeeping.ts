/** The two loops that every worker runs beside its jobs: one makes due runs, one brings back in line what is derived. */
import { type ReconcileDependencies, type ReconcileReport, reconcile } from '@tandem/prediction/reconcile';
import { type ScheduleRunsDependencies, scheduleRuns } from '@tandem/prediction/schedule-runs';
import type { Log } from '@tandem/telemetry/log';
import { type Repeating, repeat } from './repeat.ts';

export interface HousekeepingDependencies {
  readonly reconciling: ReconcileDependencies;
  readonly scheduling: ScheduleRunsDependencies;
  readonly log: Log;
  readonly reconcileEveryMs?: number;
  readonly scheduleEveryMs?: number;
  /** How long between two looks at what retention drops. */
  readonly retainEveryMs?: number;
}

export function startHousekeeping(dependencies: HousekeepingDependencies): Repeating {
  const { reconciling, scheduling, log } = dependencies;
  const { reconcileEveryMs = 3_000, scheduleEveryMs = 5_000, retainEveryMs = 60_000 } = dependencies;
  let retainedAt = Number.NEGATIVE_INFINITY;

  const loops = [
    repeat(reconcileEveryMs, async () => {
      const isThorough = performance.now() - retainedAt >= retainEveryMs;
      if (isThorough) retainedAt = performance.now();
      tellRound(await reconcile(reconciling, isThorough), log);
    }),
    repeat(scheduleEveryMs, async () => {
      try {
        for (const made of await scheduleRuns(scheduling)) log.info('run.scheduled', { ...made });
      } catch (error) {
        log.warn('schedule.failed', { error });
      }
    }),
  ];
  return { stop: async () => void (await Promise.all(loops.map((loop) => loop.stop()))) };
}

/** Rounds that found nothing to do are not worth a line. */
function tellRound(report: ReconcileReport, log: Log): void {
  const { errors, unfinishedRuns: _, ...done } = report;
  if (errors.length > 0) log.warn('reconcile.failed', { ...report });
  else if (Object.values(done).some((count) => count > 0)) log.info('reconcile.done', { ...report });
}
