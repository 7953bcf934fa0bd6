/** What the endpoints of runs need. */
import type { Registry } from '@tandem/freshness/reader';
import type { RunStore } from '@tandem/prediction/runs/run-store';
import type { RunWatcher } from './run-watcher.ts';

export interface RunDependencies {
  readonly runs: RunStore;
  readonly registry: Pick<Registry, 'predictor'>;
  readonly runWatcher: RunWatcher;
  /** Tells a worker that a run waits to be planned. A hint: where it fails, the reconciler finds the run in Postgres. */
  enqueuePlan(runId: string): Promise<void>;
}
