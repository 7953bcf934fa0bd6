/** What can be done next of a run, as a hint to the workers. */
import { unreachable } from '@tandem/freshness/errors';
import type { RunHints } from './run-hints.ts';
import type { RunStore } from './run-store.ts';
import type { Run, RunState, UnfinishedRun } from './runs.ts';

export interface HintAtNextDependencies {
  readonly runs: Pick<RunStore, 'claimable'>;
  readonly hints: RunHints;
}

/** How many chunks of a run are hinted at ahead of the workers; reconcile.ts adds more as they are done. */
export const HINTED_CHUNKS = 200;

/** Hints at the next step of a run where it can be claimed; returns the number of chunks in the hints. */
export async function hintAtNext({ runs, hints }: HintAtNextDependencies, run: UnfinishedRun): Promise<number> {
  const state: RunState = run.state;
  switch (state) {
    case 'planned':
      if (run.isStepFree) await hints.plan(run.id);
      return 0;
    case 'running':
      return hintAtChunks({ runs, hints }, run);
    case 'publishing':
      if (run.isStepFree) await hints.publish(run.id);
      return 0;
    case 'done':
    case 'done_with_errors':
    case 'failed':
    case 'cancelled':
      return 0;
    default:
      return unreachable(state);
  }
}

/** Hints at what can be claimed; a run without open chunks is ready to be published. */
export async function hintAtChunks({ runs, hints }: HintAtNextDependencies, run: Run): Promise<number> {
  if (run.chunksCommitted >= run.chunkCount) {
    await hints.publish(run.id);
    return 0;
  }
  const refs = await runs.claimable(run.id, HINTED_CHUNKS);
  if (refs.length > 0) await hints.chunks(refs);
  return refs.length;
}

/**
 * Hints at the runs of the predictor that waited for a step which has ended, so that they do not wait for the reconciler.
 * An error is ignored: the next round of the reconciler hints at the same runs.
 * @param state the state of runs that wait for the same step
 */
export async function hintAtWaiting(
  dependencies: HintAtNextDependencies & { readonly runs: Pick<RunStore, 'unfinished'> },
  predictor: string,
  state: 'planned' | 'publishing',
): Promise<void> {
  try {
    const waiting = (await dependencies.runs.unfinished(predictor)).filter((run) => run.state === state);
    for (const run of waiting) await hintAtNext(dependencies, run);
  } catch {
    return;
  }
}
