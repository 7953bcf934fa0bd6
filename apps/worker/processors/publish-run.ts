/** Job `publish-run`: publishes a run whose chunks are all committed. Too early is not an error: the next hint comes. */
import { type PublishRunDependencies, publishRun } from '@tandem/prediction/runs/publish-run';
import type { RunStore } from '@tandem/prediction/runs/run-store';
import { isFinished } from '@tandem/prediction/runs/runs';
import type { Handler } from '@tandem/queue/run-worker';
import type { CheckFit } from './check-fit.ts';
import { type ComparisonTelling, tellCompared } from './tell-compared.ts';
import { type RunTelling, tellRunEnded } from './tell-run-ended.ts';

export interface PublishRunProcessorDependencies extends PublishRunDependencies, RunTelling, ComparisonTelling {
  readonly runs: Pick<RunStore, 'publish' | 'find'>;
  readonly checkFit: CheckFit;
  readonly metrics: RunTelling['metrics'] & ComparisonTelling['metrics'];
}

export function createPublishRun(dependencies: PublishRunProcessorDependencies): Handler<'publish-run'> {
  const { runs, checkFit } = dependencies;
  return async ({ runId }) => {
    const before = await runs.find(runId);
    if (!before || isFinished(before.state)) return { outcome: 'nothing_to_do' };
    const outcome = await publishRun(dependencies, runId);
    if (!outcome) return { outcome: 'chunks_open' };
    if (outcome.report) tellCompared(before, outcome.report, dependencies);
    const after = await runs.find(runId);
    if (after && isFinished(after.state)) tellRunEnded(after, dependencies);
    const { state, generation, loaded, note } = outcome;
    if (generation && loaded) await checkFit(generation);
    return { outcome: state, predictor: before.predictor, generation: generation?.number ?? null, loaded, note };
  };
}
