/**
 * B7: what a chunk committed goes to the online store, into its generation's buckets or, from a partial run, into the
 * overlay. Redis may be down: the chunk stays committed, and the generation is loaded as a whole later.
 */
import type { GenerationLoader } from './generation-loader.ts';
import type { Generation } from './generations.ts';
import type { GenerationStore, RunStore } from './run-store.ts';
import type { ChunkResult, ClaimedChunk, Run, ScoredUser } from './runs.ts';
import type { OverlayStore } from './stored-prediction.ts';

export interface LoadChunkDependencies {
  readonly runs: Pick<RunStore, 'markLoaded'>;
  readonly generations: Pick<GenerationStore, 'find'>;
  readonly loader: GenerationLoader;
  readonly overlay: OverlayStore;
}

/**
 * @param written what the commit wrote: users erased meanwhile are not in it
 * @returns null when loaded, else why not
 */
export async function loadChunk(
  dependencies: LoadChunkDependencies,
  run: Run,
  chunk: ClaimedChunk,
  result: ChunkResult,
  written: readonly ScoredUser[],
): Promise<string | null> {
  const { runs, generations, loader, overlay } = dependencies;
  try {
    if (run.generationId === null) {
      await overlay.put(overlayEntries(run, result, written));
    } else {
      const generation = await generations.find(run.generationId);
      if (!generation || generation.state === 'dropped') return 'the generation is dropped';
      await loader.loadRows(
        generation,
        written.map((user) => ({ ...user, computedAt: result.computedAt })),
      );
      await noteLoaded(loader, generation, chunk, run);
    }
    await runs.markLoaded(run.id, chunk.no);
    return null;
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
}

/** Whoever loads the last of the chunks completes the generation; a flush in between leaves it incomplete. */
async function noteLoaded(
  loader: GenerationLoader,
  generation: Generation,
  chunk: ClaimedChunk,
  run: Run,
): Promise<void> {
  const noted = await loader.noteChunk(generation, chunk.no);
  if (noted >= run.chunkCount) await loader.markLoaded(generation);
}

function overlayEntries(run: Run, result: ChunkResult, written: readonly ScoredUser[]) {
  return written.map(({ userId, contextVersion, outputs }) => ({
    predictor: run.predictor,
    userId,
    modelVersionId: run.modelVersionId,
    history: result.history,
    overlayFloor: run.overlayFloor,
    contextVersion,
    source: 'batch' as const,
    computedAt: result.computedAt,
    outputs,
  }));
}
