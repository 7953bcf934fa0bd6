/** Logs and counts the end of a run. The worker whose publication or last failed chunk ended the run does this. */
import type { Run } from '@tandem/prediction/runs/runs';
import type { Log } from '@tandem/telemetry/log';
import type { Metrics } from '@tandem/telemetry/metrics';

export interface RunLogging {
  readonly log: Log;
  readonly metrics: Pick<Metrics, 'runs' | 'runDuration'>;
}

export function logRunEnded(run: Run, { log, metrics }: RunLogging): void {
  const { id, predictor, scope, state, error, usersScored, usersFailed, startedAt, finishedAt } = run;
  const seconds = startedAt && finishedAt ? (finishedAt.getTime() - startedAt.getTime()) / 1000 : null;
  metrics.runs.inc({ predictor, scope, state });
  if (seconds !== null) metrics.runDuration.observe({ predictor, scope }, seconds);
  const level = state === 'failed' ? 'error' : 'info';
  log[level]('run.ended', {
    runId: id,
    predictor,
    scope,
    runState: state,
    usersScored,
    usersFailed,
    seconds,
    note: error,
  });
}
