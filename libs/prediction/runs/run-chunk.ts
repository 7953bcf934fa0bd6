/**
 * Processes the unit of a batch run: claims a chunk, scores its users, commits predictions and progress together, and
 * loads Redis (B3 to B8). After a kill between any two steps, work is repeated when the lease expires. No prediction is
 * lost or wrongly labelled. A commit is final: if the process is killed before Redis is loaded, the reconciler loads
 * it.
 */

import { isTransient, reasonOf, unknownRun } from '@tandem/freshness/errors';
import type { Registry } from '@tandem/freshness/reader';
import { FeaturesTooSlow } from '../scoring/feature-source.ts';
import type { ChunkCpu } from './chunk-cpu.ts';
import { type HeldLease, holdLease, type LeaseTimes } from './lease.ts';
import { type ChunkLoads, type LoadChunkDependencies, loadChunk } from './load-chunk.ts';
import type { RunHints, RunStore } from './run-store.ts';
import type { ClaimedChunk, CommitOutcome, Run } from './runs.ts';
import { type ScoreChunkDependencies, scoreChunk } from './score-chunk.ts';

export interface RunChunkDependencies extends ScoreChunkDependencies, LoadChunkDependencies {
  readonly runs: RunStore;
  readonly registry: Pick<Registry, 'modelVersion'>;
  readonly hints: RunHints;
  readonly lease: LeaseTimes;
  /** Aborts when the process must end: unscored users are returned for another worker. */
  readonly stopping?: AbortSignal;
  /** A monotonic clock in milliseconds; for tests. */
  now?(): number;
  /** Runs loads after their jobs. Without it each chunk waits for its load. */
  readonly loads?: ChunkLoads;
  /** Measures the cost of chunks. Without it no cost is recorded. */
  readonly cpu?: ChunkCpu;
  /** The number of errors of the chunk itself (feature query, model) after which the run fails. */
  readonly maxAttempts?: number;
  /**
   * The number of reads that reach their time limit before the run fails. It is low, since such a read holds a slot for
   * minutes.
   */
  readonly maxSlowAttempts?: number;
  /**
   * The number of failures of an unavailable database or inference before the run fails. An outage of minutes must not
   * fail a run.
   */
  readonly maxTransientAttempts?: number;
}

export type ChunkReport =
  /** Another worker has claimed the chunk, it is already committed, or the run has ended. */
  { readonly outcome: 'nothing_to_do' } | (AttemptReport & Attempt);

/** The attempt at a chunk, for the log. */
type Attempt = Pick<ClaimedChunk, 'fence' | 'takenOver'> & Pick<Run, 'predictor'>;

type AttemptReport =
  | CommittedReport
  /** Nothing was written: another worker holds the chunk, or the database's history or the run has changed. */
  | { readonly outcome: 'abandoned'; readonly why: Extract<CommitOutcome, { committed: false }>['why'] }
  /** This process must end: the chunk is free for another worker, and the attempt does not count. */
  | { readonly outcome: 'stopped' }
  /** An error occurred; the chunk waits for another attempt. */
  | { readonly outcome: 'given_back'; readonly error: string }
  /** The last allowed error occurred, or too many workers in a row died on the chunk: the run fails. */
  | { readonly outcome: 'failed'; readonly error: string };

interface CommittedReport {
  readonly outcome: 'committed';
  readonly usersScored: number;
  readonly usersFailed: number;
  /** Users that became new chunks, since this worker was slow or must end. */
  readonly usersHandedBack: number;
  readonly chunksOpen: number;
  /** Why Redis did not get the rows; null if it did, or if the load continues after the job. */
  readonly loadError: string | null;
  readonly readMs: number;
  readonly scoreMs: number;
  readonly commitMs: number;
  readonly loadMs: number;
}

/** @param onProgress called after each step, so that the caller sees that a long chunk makes progress */
export type RunChunk = (runId: string, no: number, onProgress?: () => void) => Promise<ChunkReport>;

/**
 * Creates the function that processes chunks. It rejects only if a chunk could not be claimed or returned. The chunk is
 * then claimed again after its lease or at the next hint.
 */
export function createRunChunk(dependencies: RunChunkDependencies): RunChunk {
  const {
    runs,
    lease,
    hints,
    stopping,
    maxAttempts = 5,
    maxSlowAttempts = 2,
    maxTransientAttempts = 40,
  } = dependencies;

  function limitOf(cause: unknown): number {
    if (cause instanceof FeaturesTooSlow) return maxSlowAttempts;
    return isTransient(cause) ? maxTransientAttempts : maxAttempts;
  }

  async function giveBack(chunk: ClaimedChunk, cause: unknown): Promise<AttemptReport> {
    const error = reasonOf(cause);
    const state = await runs.giveBack(chunk, error, limitOf(cause));
    if (state === 'fence_lost') return { outcome: 'abandoned', why: 'fence_lost' };
    if (state === 'failed') return { outcome: 'failed', error };
    await hints.chunks([{ runId: chunk.runId, no: chunk.no, fence: chunk.fence }]);
    return { outcome: 'given_back', error };
  }

  async function release(chunk: ClaimedChunk): Promise<AttemptReport> {
    await runs.release(chunk);
    await hints.chunks([{ runId: chunk.runId, no: chunk.no, fence: chunk.fence }]);
    return { outcome: 'stopped' };
  }

  async function attempt(run: Run, chunk: ClaimedChunk, onProgress: () => void): Promise<AttemptReport> {
    const held = holdLease((leaseMs) => runs.renew(chunk, leaseMs), lease);
    const cpu = dependencies.cpu?.begin();
    try {
      return await work(dependencies, run, chunk, { held, cpu }, onProgress);
    } catch (error) {
      if (held.lost.aborted) return { outcome: 'abandoned', why: 'fence_lost' };
      if (stopping?.aborted) return await release(chunk);
      return await giveBack(chunk, error);
    } finally {
      cpu?.end();
      held.release();
    }
  }

  return async function runChunk(runId, no, onProgress = () => {}) {
    const chunk = await runs.claim(runId, no, lease.leaseMs);
    if (!chunk) return { outcome: 'nothing_to_do' };
    // The run is read after the claim: an earlier read may be from before its plan.
    const run = await runs.find(runId);
    if (!run) throw unknownRun(runId);
    const { fence, takenOver } = chunk;
    const claim = { predictor: run.predictor, fence, takenOver };
    if ('failed' in chunk) return { outcome: 'failed', error: chunk.failed, ...claim };
    return { ...(await attempt(run, chunk, onProgress)), ...claim };
  };
}

async function work(
  dependencies: RunChunkDependencies,
  run: Run,
  chunk: ClaimedChunk,
  { held, cpu }: { readonly held: HeldLease; readonly cpu: ReturnType<ChunkCpu['begin']> | undefined },
  onProgress: () => void,
): Promise<AttemptReport> {
  const { runs, registry, hints, loads, stopping } = dependencies;
  const end = { lost: held.lost, stopping, isEnough: splitsWhenSlow(dependencies, run) };
  const version = await registry.modelVersion(run.modelVersionId);
  const { readMs, scoreMs, ...rest } = await scoreChunk(dependencies, version, { run, chunk }, end, onProgress);
  const scored = performance.now();
  const result = { ...rest.result, cpuMs: cpu?.end() ?? null };
  const commit = await runs.commit(run, chunk, result);
  held.release();
  if (!commit.committed) return { outcome: 'abandoned', why: commit.why };
  const committed = performance.now();
  onProgress();
  // The hint to publish does not wait for Redis.
  if (commit.chunksOpen === 0) await hints.publish(run.id);
  const splitOff = commit.splitOff.map((no) => ({ runId: run.id, no, fence: 0 }));
  if (splitOff.length > 0) await hints.chunks(splitOff);
  const load = () => loadChunk(dependencies, run, chunk, result, commit.written, commit.chunksOpen === 0);
  const loadError = loads
    ? await loads.begin({ ...chunk, users: commit.written.userIds.length }, load).then(() => null)
    : await load();
  return {
    outcome: 'committed',
    usersScored: commit.written.userIds.length,
    usersFailed: result.failures.length,
    usersHandedBack: result.handedBack?.userIds.length ?? 0,
    chunksOpen: commit.chunksOpen,
    loadError,
    readMs,
    scoreMs,
    commitMs: committed - scored,
    loadMs: performance.now() - committed,
  };
}

/** A chunk is slow if it takes this many times its intended duration. */
const SLOW_TIMES = 2;

/**
 * Returns a function that says whether the rest of a chunk is to be returned to other workers. If the process must end,
 * the rest is returned immediately. If the chunk is slow, the rest is returned only when other workers have nothing to
 * do, since reading users by name costs more than reading a range.
 */
function splitsWhenSlow({ runs, stopping, now = () => performance.now() }: RunChunkDependencies, run: Run) {
  let nextLook = now() + SLOW_TIMES * run.chunkMs;
  return async () => {
    if (stopping?.aborted) return true;
    if (now() < nextLook) return false;
    nextLook = now() + run.chunkMs / 2;
    return runs.isDry(run.id).catch(() => false);
  };
}
