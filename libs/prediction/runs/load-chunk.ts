/**
 * B7: what a chunk committed goes to the online store, into its generation's buckets or, from a partial run, into the
 * overlay. Redis may be down: the chunk stays committed, and the generation is loaded as a whole later.
 */
import type { OverlayEntry, OverlayStore } from '@tandem/freshness/stored-prediction';
import type { GatheredLoads } from './chunk-loads.ts';
import type { GenerationStore, RunStore } from './run-store.ts';
import type { ChunkResult, ClaimedChunk, Run } from './runs.ts';
import { eachUser, type ScoredUsers } from './scored-users.ts';

export interface LoadChunkDependencies {
  readonly runs: Pick<RunStore, 'markLoaded'>;
  readonly generations: Pick<GenerationStore, 'find'>;
  readonly loader: GatheredLoads;
  readonly overlay: OverlayStore;
}

/**
 * @param written what the commit wrote: users erased meanwhile are not in it
 * @param isLast no chunk of the run is open any more
 * @returns null when loaded, else why not
 */
export async function loadChunk(
  dependencies: LoadChunkDependencies,
  run: Run,
  chunk: ClaimedChunk,
  result: ChunkResult,
  written: ScoredUsers,
  isLast: boolean,
): Promise<string | null> {
  const { runs, generations, loader, overlay } = dependencies;
  try {
    if (run.generationId === null) {
      await overlay.put(overlayEntries(run, result, written));
    } else {
      const generation = await generations.find(run.generationId);
      if (!generation || generation.state === 'dropped') return 'the generation is dropped';
      await loader.loadScored(generation, [{ users: written, computedAt: result.computedAt }], isLast);
    }
    await runs.markLoaded(run.id, chunk.no);
    return null;
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
}

// What a partial run stores of its users: the same entries in Postgres, at the commit, and in the online store.

export function overlayEntries(run: Run, result: ChunkResult, written: ScoredUsers): OverlayEntry[] {
  return eachUser(written).map(({ userId, contextVersion, outputs }) => ({
    predictor: run.predictor,
    userId,
    modelVersionId: run.modelVersionId,
    history: result.history,
    // As certificates tell it.
    overlayFloor: run.overlayFloor + run.sourceVersion,
    contextVersion,
    source: 'batch',
    computedAt: result.computedAt,
    outputs,
  }));
}
