/** Executes runs like a worker, for tests. The prediction of each user is the user's id. */

import type { RunStore } from '@tandem/prediction/runs/run-store';
import type { ChunkResult, ClaimedChunk, Run } from '@tandem/prediction/runs/runs';
import { scoredUsers } from '@tandem/prediction/runs/scored-users';
import { publishNow } from '@tandem/prediction/runs/steps.fixture';
import type pg from 'pg';
import { findModelVersion } from './models/registry.ts';
import { patientFeatures } from './store.fixture.ts';

export function createWork(pool: pg.Pool, store: RunStore) {
  /** Reads the features of a chunk, and returns its users with their ids as predictions. */
  async function score(run: Run, chunk: ClaimedChunk): Promise<ChunkResult> {
    const features = patientFeatures(pool);
    const version = await findModelVersion(pool, run.modelVersionId);
    const batch =
      'range' in chunk.part
        ? await features.readRange(version, chunk.part.range)
        : (await features.readUsers(version, chunk.part.userIds)).batch;
    const scored = batch.userIds.map((userId, i) => {
      const outputs = Buffer.alloc(4);
      outputs.writeFloatLE(Number(userId));
      return { userId, contextVersion: batch.contextVersions[i] ?? 0, outputs };
    });
    return { history: batch.history, computedAt: batch.readAt, scored: scoredUsers(scored), failures: [] };
  }

  async function claim(runId: string, no: number, leaseMs = 60_000): Promise<ClaimedChunk> {
    const chunk = await store.claim(runId, no, leaseMs);
    if (!chunk || 'failed' in chunk) throw new Error(`chunk ${no} could not be claimed`);
    return chunk;
  }

  async function work(run: Run, no: number) {
    const chunk = await claim(run.id, no);
    const current = await store.find(run.id);
    return store.commit(current ?? run, chunk, await score(run, chunk));
  }

  async function workAll(run: Run) {
    for (const { no } of await store.claimable(run.id, 1_000)) await work(run, no);
    return publishNow(store, run.id);
  }

  return { score, claim, work, workAll };
}
