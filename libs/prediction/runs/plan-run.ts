/** Cuts a run into chunks and hints at the first of them: B1 to B2 of a run that was only asked for. */
import { isTandemError, isTransient } from '../errors.ts';
import type { RunHints } from './run-hints.ts';
import type { RunStore } from './run-store.ts';
import { isFinished, type Run } from './runs.ts';

export interface PlanRunDependencies {
  readonly runs: Pick<RunStore, 'plan' | 'claimable' | 'fail'>;
  readonly hints: RunHints;
}

/** How many chunks of a run are hinted at ahead of the workers; reconcile.ts tops them up as they are done. */
export const HINTED_CHUNKS = 200;

/** Rejects only where another attempt may succeed; a run that cannot be planned (a broken feature query) is failed. */
export async function planRun({ runs, hints }: PlanRunDependencies, runId: string): Promise<Run> {
  const run = await runs.plan(runId).catch((error: unknown) => {
    if (isTransient(error) || isTandemError(error, 'unknown_run')) throw error;
    return runs.fail(runId, `cannot be planned: ${error instanceof Error ? error.message : String(error)}`);
  });
  if (!isFinished(run.state)) await hintAtChunks({ runs, hints }, run);
  return run;
}

/** Hints at what can be claimed; a run without open chunks is ready to be published. */
export async function hintAtChunks({ runs, hints }: PlanRunDependencies, run: Run): Promise<number> {
  if (run.chunksCommitted >= run.chunkCount) {
    await hints.publish(run.id);
    return 0;
  }
  const refs = await runs.claimable(run.id, HINTED_CHUNKS);
  if (refs.length > 0) await hints.chunks(refs);
  return refs.length;
}
