/** What a partial run stores of its users: the same entries in Postgres, at the commit, and in the online store. */
import type { ChunkResult, Run, ScoredUser } from './runs.ts';
import type { OverlayEntry } from './stored-prediction.ts';

export function overlayEntries(run: Run, result: ChunkResult, written: readonly ScoredUser[]): OverlayEntry[] {
  return written.map(({ userId, contextVersion, outputs }) => ({
    predictor: run.predictor,
    userId,
    modelVersionId: run.modelVersionId,
    history: result.history,
    overlayFloor: run.overlayFloor,
    contextVersion,
    source: 'batch',
    computedAt: result.computedAt,
    outputs,
  }));
}
