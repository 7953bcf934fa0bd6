/** What a partial run stores of its users: the same entries in Postgres, at the commit, and in the online store. */

import type { OverlayEntry } from '@tandem/freshness/stored-prediction';
import type { ChunkResult, Run } from './runs.ts';
import { eachUser, type ScoredUsers } from './scored-users.ts';

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
