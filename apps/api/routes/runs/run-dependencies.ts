/** The dependencies of the run endpoints. */
import type { Registry } from '@tandem/freshness/reader';
import type { RunStore } from '@tandem/prediction/runs/run-store';
import type { WideEvent } from '@tandem/telemetry/wide-event';
import { within } from '@tandem/timing/within';
import type { RunWatcher } from './run-watcher.ts';

export interface RunDependencies {
  readonly runs: RunStore;
  readonly registry: Pick<Registry, 'predictor'>;
  readonly runWatcher: RunWatcher;
  /** Notifies a worker that a run waits to be planned. If this hint fails, the reconciler finds the run in Postgres. */
  enqueuePlan(runId: string): Promise<void>;
}

// Notifies a worker of a run within a time limit. The run is already in Postgres, so an answer never waits long for
// Redis.

const BUDGET_MS = 250;

export async function hintWorker(
  { enqueuePlan }: Pick<RunDependencies, 'enqueuePlan'>,
  runId: string,
  event: WideEvent,
): Promise<void> {
  try {
    await within(BUDGET_MS, enqueuePlan(runId), () => new Error('the queue did not answer in time'));
  } catch (error) {
    event.add({ hintFailed: error });
  }
}
