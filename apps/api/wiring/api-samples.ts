/** Metrics that are sampled at each scrape: states, and counts that other parts keep. */

import { latestSlot, nextSlot } from '@tandem/config/predictor/schedule';
import { createGenerationStore } from '@tandem/offline-store/generations/generations';
import { createScheduleStore } from '@tandem/offline-store/runs/schedules';
import { createWorkStore } from '@tandem/offline-store/runs/work-signal';
import { type WaitingWork, workersNeeded } from '@tandem/prediction/runs/desired-workers';
import type { GenerationLoader } from '@tandem/prediction/runs/online-generations';
import { findWaitingWork } from '@tandem/prediction/runs/waiting-work';
import type { Metrics } from '@tandem/telemetry/metrics';
import { raising, type SampledParts } from '@tandem/telemetry/sampled-stats';

interface SampledCounts {
  /** The samples of the observers of answers. */
  readonly answers: SampledParts['samples'];
  /** Returns the number of predictions in memory. */
  remembered(): number;
  /** Returns the number of live answers since the start that could not be stored in Postgres. */
  overlayWritesDropped(): number;
  /** Rejects while Postgres does not answer. */
  readonly workSignal: WorkSignal;
}

/** The least milliseconds between two samples of waiting work, for any number of scrapers. */
const LOOK_AT_WORK_EVERY_MS = 5_000;

/** Returns the samples of an API. */
export function apiSamples(metrics: Metrics, counts: SampledCounts): SampledParts['samples'] {
  const { answers, remembered, overlayWritesDropped } = counts;
  return [
    ...answers,
    samplingWork(metrics, counts.workSignal),
    () => metrics.rememberedPredictions.set(remembered()),
    raising(metrics.overlayWritesDropped, overlayWritesDropped),
  ];
}

function samplingWork(metrics: Metrics, workSignal: WorkSignal): () => Promise<void> {
  let lookedAt = Number.NEGATIVE_INFINITY;
  let looking: Promise<void> = Promise.resolve();
  return () => {
    if (performance.now() - lookedAt >= LOOK_AT_WORK_EVERY_MS) {
      lookedAt = performance.now();
      looking = workSignal().then(
        (waiting) => setWork(metrics, waiting),
        () => forgetWork(metrics),
      );
    }
    return looking;
  };
}

/** Removes the values: an autoscaler must act neither on an old number nor on 0. */
function forgetWork({ desiredWorkers, waitingUsers, workerRate, runOverdue }: Metrics): void {
  desiredWorkers.remove();
  for (const gauge of [waitingUsers, workerRate, runOverdue]) gauge.reset();
}

function setWork(metrics: Metrics, waiting: WaitingWork): void {
  metrics.desiredWorkers.set(workersNeeded(waiting));
  // A predictor without a run must not keep its old value.
  for (const gauge of [metrics.waitingUsers, metrics.workerRate, metrics.runOverdue]) gauge.reset();
  // The run with the earliest deadline comes last, so its delay is the value of its predictor.
  for (const run of waiting.runs.toSorted((a, b) => b.secondsLeft - a.secondsLeft)) {
    const { predictor, users, usersPerSecond, secondsLeft } = run;
    metrics.waitingUsers.inc({ predictor }, users);
    metrics.runOverdue.set({ predictor }, Math.max(0, -secondsLeft));
    if (usersPerSecond !== null) metrics.workerRate.set({ predictor }, usersPerSecond);
  }
}

const USUAL_DEADLINE_MS = 3_600_000;

/** Reads the waiting work; rejects while Postgres does not answer. */
type WorkSignal = () => Promise<WaitingWork>;

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
