/** Job `publish-run`: publishes a run whose chunks are all committed. Too early is not an error: the next hint comes. */
import { type PublishRunDependencies, publishRun } from '@tandem/prediction/publish-run';
import type { RunStore } from '@tandem/prediction/run-store';
import type { Handler } from '@tandem/queue/run-worker';
import type { Log } from '@tandem/telemetry/log';
import type { Metrics } from '@tandem/telemetry/metrics';

export interface PublishRunProcessorDependencies extends PublishRunDependencies {
  readonly runs: Pick<RunStore, 'publish' | 'find'>;
  readonly log: Log;
  readonly metrics: Pick<Metrics, 'runs' | 'runDuration'>;
}

export function createPublishRun(dependencies: PublishRunProcessorDependencies): Handler<'publish-run'> {
  const { runs, log, metrics } = dependencies;
  return async ({ runId }) => {
    const outcome = await publishRun(dependencies, runId);
    if (!outcome) return { outcome: 'chunks_open' };
    const run = await runs.find(runId);
    if (!run) return { outcome: outcome.state };
    const { predictor, scope, usersScored, usersFailed, startedAt, finishedAt } = run;
    metrics.runs.inc({ predictor, scope, state: outcome.state });
    const seconds = startedAt && finishedAt ? (finishedAt.getTime() - startedAt.getTime()) / 1000 : null;
    if (seconds !== null) metrics.runDuration.observe({ predictor, scope }, seconds);
    const facts = { predictor, scope, usersScored, usersFailed, seconds, note: outcome.note };
    log[outcome.state === 'failed' ? 'error' : 'info']('run.ended', { runId, runState: outcome.state, ...facts });
    return {
      outcome: outcome.state,
      predictor,
      generation: outcome.generation?.number ?? null,
      loaded: outcome.loaded,
    };
  };
}
