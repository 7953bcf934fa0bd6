/** Cuts a requested run into chunks and hints at the first of them (B1 and B2). */

import type { RunHints, RunStore } from './run-store.ts';
import type { Run } from './runs.ts';
import {
  hintAtChunks,
  hintAtWaiting,
  type StepDependencies,
  type StepReport,
  type StepWork,
  workStep,
} from './work-step.ts';

export interface PlanRunDependencies extends StepDependencies {
  readonly runs: StepDependencies['runs'] & Pick<RunStore, 'plan' | 'claimable' | 'unfinished'>;
  readonly hints: RunHints;
}

/** A feature query that fails or takes too long fails the run at the first attempt: a retry would fail, too. */
const LIMITS = { maxAttempts: 1 };

/**
 * Plans a run.
 * @param onProgress called after each renewal of the lease
 */
export async function planRun(
  dependencies: PlanRunDependencies,
  runId: string,
  onProgress: () => void = () => {},
): Promise<StepReport<Run>> {
  const { runs, hints } = dependencies;
  const options = { ...LIMITS, onProgress };
  const plan: StepWork<Run> = (claimed, lost) => runs.plan(claimed, lost);
  const report = await workStep(dependencies, runId, 'plan', options, plan);
  if (report.outcome === 'done') await hintAtChunks({ runs, hints }, report.result);
  if (report.outcome !== 'nothing_to_do') await hintAtWaiting({ runs, hints }, report.predictor, 'planned');
  return report;
}
