/** Records an attempt at a step of a run in the log and metrics of the worker that made it. */
import type { RunStore } from '@tandem/prediction/runs/run-store';
import { isFinished, type Run, type RunStep } from '@tandem/prediction/runs/runs';
import type { StepReport } from '@tandem/prediction/runs/work-step';
import type { Log, LogFields } from '@tandem/telemetry/log';
import type { Metrics } from '@tandem/telemetry/metrics';

export interface StepLogging extends RunLogging {
  readonly runs: Pick<RunStore, 'find'>;
  readonly metrics: RunLogging['metrics'] & Pick<Metrics, 'runSteps' | 'runStepTakeovers'>;
}

/**
 * Logs the end of the run if the attempt ended it, and returns the attempt's fields for the job's event. `run` is its
 * state before the attempt.
 */
export async function logRunStep(
  run: Run,
  step: RunStep,
  report: StepReport<unknown>,
  { runs, log, metrics }: StepLogging,
): Promise<LogFields> {
  const { predictor } = run;
  if (report.outcome === 'nothing_to_do') return { outcome: report.outcome, predictor };
  const { outcome, fence, attempts, takenOver } = report;
  metrics.runSteps.inc({ predictor, step, outcome });
  if (takenOver) metrics.runStepTakeovers.inc({ predictor, step });
  const error = 'error' in report ? { error: report.error } : {};
  if (outcome === 'stopped') log.info('step.stopped', { runId: run.id, predictor, step, attempts });
  if (outcome === 'given_back') log.warn('step.given_back', { runId: run.id, predictor, step, attempts, ...error });
  const after = await runs.find(run.id);
  if (outcome !== 'abandoned' && after && isFinished(after.state)) logRunEnded(after, { log, metrics });
  return { outcome, predictor, fence, attempts, takenOver, ...error };
}

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
