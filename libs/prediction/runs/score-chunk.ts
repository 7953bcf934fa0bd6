/** Features to predictions for the users of one chunk: B4 and B5. A user that cannot be scored fails alone, by name. */

import type { FeatureBatch } from '@tandem/freshness/features';
import type { ModelVersion } from '@tandem/freshness/predictor';
import type { FeatureSource } from '../scoring/feature-source.ts';
import { type IsolatedScores, scoreIsolating } from '../scoring/isolate-poison.ts';
import type { Scorer } from '../scoring/scoring.ts';
import { readChunk } from './read-chunk.ts';
import type { ChunkResult, ClaimedChunk, RunFailure } from './runs.ts';
import { type ScoredUsers, scoredUsers } from './scored-users.ts';

export interface ScoreChunkDependencies {
  readonly features: FeatureSource;
  readonly scorer: Scorer;
}

/** What a chunk gave, and where its time went, in ms. */
export interface ScoredChunk {
  readonly result: ChunkResult;
  readonly readMs: number;
  readonly scoreMs: number;
}

/** A model that needs more than this for one user would fill a day with a hundred thousand users. */
const SCORING_BASE_MS = 10_000;
const SCORING_MS_PER_ROW = 2;

/**
 * @param lost ends the read of features when it aborts, and is checked between the parts of the scoring
 * @param onProgress told after the features are read, and after each part of the scoring
 */
export async function scoreChunk(
  { features, scorer }: ScoreChunkDependencies,
  version: ModelVersion,
  chunk: ClaimedChunk,
  lost: AbortSignal,
  onProgress: () => void,
): Promise<ScoredChunk> {
  const started = performance.now();
  const { batch, rows, failures: unread } = await readChunk(features, version, chunk, lost, onProgress);
  const onPart = () => {
    lost.throwIfAborted();
    onProgress();
  };
  onPart();
  const read = performance.now();
  const timeoutMs = SCORING_BASE_MS + SCORING_MS_PER_ROW * rows.length;
  const scores = await scoreIsolating(scorer, { version, batch, rows, timeoutMs, priority: 'batch' }, { onPart });
  lost.throwIfAborted();
  const scored = scoredOf(batch, scores);
  const failures = [...unread, ...failuresOf(batch, batch.faults), ...failuresOf(batch, scores.faults)];
  return {
    result: { history: batch.history, computedAt: batch.readAt, scored, failures },
    readMs: read - started,
    scoreMs: performance.now() - read,
  };
}

/** As a rule all rows were scored together: then the columns are those that were read. */
function scoredOf({ userIds, contextVersions }: FeatureBatch, scores: IsolatedScores): ScoredUsers {
  const [part] = scores.parts;
  if (part?.rows.length === userIds.length && part.encoded.faults.size === 0) {
    return { userIds, contextVersions, outputs: part.encoded.bytes, offsets: part.encoded.offsets };
  }
  const users = [...scores.outputs].map(([row, outputs]) => {
    return { userId: userIds[row] ?? '', contextVersion: contextVersions[row] ?? 0, outputs };
  });
  return scoredUsers(users);
}

function failuresOf(batch: FeatureBatch, faults: ReadonlyMap<number, string>): RunFailure[] {
  return [...faults].map(([row, reason]) => ({ userId: batch.userIds[row] ?? '', reason }));
}
