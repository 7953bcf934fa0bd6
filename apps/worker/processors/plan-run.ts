/** Job `plan-run`: splits a run into chunks and enqueues the first ones. */
import { type PlanRunDependencies, planRun } from '@tandem/prediction/runs/plan-run';
import type { RunStore } from '@tandem/prediction/runs/run-store';
import type { Handler } from '@tandem/queue/run-worker';
import { logRunStep, type StepLogging } from './log-run-step.ts';

interface PlanRunProcessorDependencies extends PlanRunDependencies, StepLogging {
  readonly runs: PlanRunDependencies['runs'] & Pick<RunStore, 'find'>;
}

export function createPlanRun(dependencies: PlanRunProcessorDependencies): Handler<'plan-run'> {
  const { runs } = dependencies;
  return async ({ runId }, job) => {
    const before = await runs.find(runId);
    if (before?.state !== 'planned') return { outcome: 'nothing_to_do' };
    const report = await planRun(dependencies, runId, job.progress);
    const told = await logRunStep(before, 'plan', report, dependencies);
    if (report.outcome !== 'done') return told;
    const { scope, state, chunkCount, usersExpected } = report.result;
    return { ...told, scope, runState: state, chunkCount, usersExpected };
  };
}
