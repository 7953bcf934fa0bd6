/**
 * Reports the work that waits for workers, for metrics that scale workers. The API does this, because there may be no
 * worker.
 */
import { latestSlot, nextSlot } from '@tandem/config/predictor/schedule';
import { createGenerationStore } from '@tandem/offline-store/generations/generations';
import { createScheduleStore } from '@tandem/offline-store/runs/schedules';
import { createWorkStore } from '@tandem/offline-store/runs/work-signal';
import type { WaitingWork } from '@tandem/prediction/runs/desired-workers';
import type { GenerationLoader } from '@tandem/prediction/runs/online-generations';
import { findWaitingWork } from '@tandem/prediction/runs/waiting-work';

const USUAL_DEADLINE_MS = 3_600_000;

/** Reads the waiting work; rejects while Postgres does not answer. */
export type WorkSignal = () => Promise<WaitingWork>;

export function openWorkSignal(
  pool: Parameters<typeof createWorkStore>[0],
  loader: Pick<GenerationLoader, 'isLoaded'>,
  deadlineMs: number = USUAL_DEADLINE_MS,
): WorkSignal {
  const schedules = createScheduleStore(pool);
  const stores = { work: createWorkStore(pool), schedules, generations: createGenerationStore(pool), loader };
  const dependencies = { ...stores, latestSlot, nextSlot, deadlineMs };
  return () => findWaitingWork(dependencies);
}
