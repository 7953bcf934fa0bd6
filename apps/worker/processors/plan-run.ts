/** Job `plan-run`: cuts a run into chunks and enqueues the first of them. */
import { type PlanRunDependencies, planRun } from '@tandem/prediction/runs/plan-run';
import type { Handler } from '@tandem/queue/run-worker';

export function createPlanRun(dependencies: PlanRunDependencies): Handler<'plan-run'> {
  return async ({ runId }) => {
    const { predictor, scope, state, chunkCount, usersExpected } = await planRun(dependencies, runId);
    return { predictor, scope, runState: state, chunkCount, usersExpected };
  };
}
