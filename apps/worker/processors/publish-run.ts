/**
 * Job `publish-run`: publishes a run after all of its chunks are committed. A job that is too early is no error:
 * another hint follows.
 */
import { type PublishRunDependencies, publishRun } from '@tandem/prediction/runs/publish-run';
import type { RunStore } from '@tandem/prediction/runs/run-store';
import { isFinished } from '@tandem/prediction/runs/runs';
import type { Handler } from '@tandem/queue/run-worker';
import type { CheckFit } from './load-generation.ts';
import { type ComparisonLogging, logComparison } from './log-comparison.ts';
import { logRunStep, type StepLogging } from './log-run-step.ts';

interface PublishRunProcessorDependencies extends PublishRunDependencies, StepLogging, ComparisonLogging {
  readonly runs: PublishRunDependencies['runs'] & Pick<RunStore, 'find'>;
  readonly checkFit: CheckFit;
  readonly metrics: StepLogging['metrics'] & ComparisonLogging['metrics'];
}

export function createPublishRun(dependencies: PublishRunProcessorDependencies): Handler<'publish-run'> {
  const { runs, checkFit } = dependencies;
  return async ({ runId }, job) => {
    const before = await runs.find(runId);
    if (!before || isFinished(before.state)) return { outcome: 'nothing_to_do' };
    const report = await publishRun(dependencies, runId, job.progress);
    if (report.outcome === 'done' && report.result.report) logComparison(before, report.result.report, dependencies);
    const told = await logRunStep(before, 'publish', report, dependencies);
    if (report.outcome !== 'done') return told;
    const { state, generation, loaded, note } = report.result;
    if (generation && loaded) await checkFit(generation);
    return { ...told, outcome: state, generation: generation?.number ?? null, loaded, note };
  };
}
