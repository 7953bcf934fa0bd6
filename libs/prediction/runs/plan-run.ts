/** Cuts a run into chunks and hints at the first of them: B1 to B2 of a run that was only asked for. */
import type { RunHints } from './run-hints.ts';
import type { RunStore } from './run-store.ts';
import type { Run } from './runs.ts';
import { type StepDependencies, type StepReport, type StepWork, workStep } from './work-step.ts';

export interface PlanRunDependencies extends StepDependencies {
  readonly runs: StepDependencies['runs'] & Pick<RunStore, 'plan' | 'claimable' | 'unfinished'>;
  readonly hints: RunHints;
}

/** How many chunks of a run are hinted at ahead of the workers; reconcile.ts tops them up as they are done. */
export const HINTED_CHUNKS = 200;

/** A feature query that fails, or takes too long, fails the run at once: another attempt would do no better. */
const LIMITS = { maxAttempts: 1 };

/** @param onProgress told of each renewal of the lease */
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
  if (report.outcome !== 'nothing_to_do') await hintAtWaiting({ runs, hints }, 'planned');
  return report;
}

/** Another run of the predictor may have waited for the step that has ended: it need not wait for the reconciler too. */
export async function hintAtWaiting(
  { runs, hints }: { readonly runs: Pick<RunStore, 'unfinished'>; readonly hints: RunHints },
  state: 'planned' | 'publishing',
): Promise<void> {
  // A failure costs the reconciler's next round, no more.
  const unfinished = await runs.unfinished().catch(() => []);
  const free = unfinished.filter((run) => run.state === state && run.isStepFree);
  for (const { id } of free) await (state === 'planned' ? hints.plan(id) : hints.publish(id));
}

/** Hints at what can be claimed; a run without open chunks is ready to be published. */
export async function hintAtChunks(
  { runs, hints }: { readonly runs: Pick<RunStore, 'claimable'>; readonly hints: RunHints },
  run: Run,
): Promise<number> {
  if (run.chunksCommitted >= run.chunkCount) {
    await hints.publish(run.id);
    return 0;
  }
  const refs = await runs.claimable(run.id, HINTED_CHUNKS);
  if (refs.length > 0) await hints.chunks(refs);
  return refs.length;
}
