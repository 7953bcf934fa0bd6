/**
 * Measures each stage of a batch run separately, in CPU per user. The parts of a worker run one stage after the other
 * over the same chunks, while no other work runs. A figure counts the CPU of every process involved: this process, the
 * inference children, Postgres with its backends, and Redis. The sum gives the highest rate that the cores of the
 * machine allow.
 */

import type { FeatureBatch } from '@tandem/freshness/features';
import { loadChunk } from '@tandem/prediction/runs/load-chunk';
import type { ChunkResult, ClaimedChunk, Run } from '@tandem/prediction/runs/runs';
import { scoreChunk } from '@tandem/prediction/runs/score-chunk';
import type { ScoredUsers } from '@tandem/prediction/runs/scored-users';
import { planNow, publishNow } from '@tandem/prediction/runs/steps.fixture';
import { cpuSecondsOf } from './process-usage.ts';
import type { WorkerParts } from './run-everyone.ts';
import type { BenchServers } from './service.ts';

/** The cost of each stage, in µs of CPU per user. */
export interface StageCosts {
  readonly read: number;
  readonly score: number;
  readonly writePostgres: number;
  readonly writeRedis: number;
  /** Building the primary key of the generation, checking and publishing it. */
  readonly publish: number;
}

const LEASE_MS = 600_000;
/** The number of chunks that pass through the stages together, as in a worker. More chunks would exhaust the memory. */
const CHUNKS = 10;
const unlost = new AbortController().signal;

interface Work {
  readonly parts: WorkerParts;
  readonly run: Run;
  readonly chunks: readonly ClaimedChunk[];
}

/** Runs the predictor once, stage by stage. No worker may be running, because it would claim the chunks. */
export async function measureStages(servers: BenchServers, parts: WorkerParts, predictor: string): Promise<StageCosts> {
  const { run, chunks } = await planWork(parts, predictor);
  const { postgres, redis } = servers.pids;
  const costs = { read: 0, score: 0, writePostgres: 0, writeRedis: 0, publish: 0 };
  const timed = async <T>(stage: keyof StageCosts, work: () => Promise<T>): Promise<T> => {
    const before = cpuSecondsOf([process.pid, postgres, redis]);
    const value = await work();
    costs[stage] += ((cpuSecondsOf([process.pid, postgres, redis]) - before) * 1e6) / run.usersExpected;
    return value;
  };
  for (let first = 0; first < chunks.length; first += CHUNKS) {
    const work = { parts, run, chunks: chunks.slice(first, first + CHUNKS) };
    const read = await timed('read', () => readAll(work));
    const scored = await timed('score', () => scoreAll(work, read));
    const written = await timed('writePostgres', () => commitAll(work, scored));
    const isEnd = first + CHUNKS >= chunks.length;
    await timed('writeRedis', () => loadAll(work, scored, written, isEnd));
  }
  const published = await timed('publish', () => publishNow(parts.runs, run.id, parts.loader));
  if (published?.state !== 'done' || !published.loaded) throw new Error('the run by stages was not published');
  return costs;
}

async function planWork(parts: WorkerParts, predictor: string): Promise<Work> {
  const request = { predictor, scope: { kind: 'all' }, reason: 'bench', scheduleSlot: null } as const;
  const { run: asked } = await parts.runs.create(request);
  const run = await planNow(parts.runs, asked.id);
  const chunks: ClaimedChunk[] = [];
  for (let no = 0; no < run.chunkCount; no++) {
    const chunk = await parts.runs.claim(run.id, no, LEASE_MS);
    if (!chunk || 'failed' in chunk) throw new Error(`chunk ${no} of the run by stages is claimed already`);
    chunks.push(chunk);
  }
  return { parts, run, chunks };
}

async function readAll({ parts, run, chunks }: Work): Promise<FeatureBatch[]> {
  const version = await parts.chunks.registry.modelVersion(run.modelVersionId);
  const batches: FeatureBatch[] = [];
  for (const { part } of chunks) {
    if ('range' in part) batches.push(await parts.chunks.features.readRange(version, part.range));
  }
  return batches;
}

async function scoreAll({ parts, run, chunks }: Work, batches: readonly FeatureBatch[]): Promise<ChunkResult[]> {
  const { registry, features, scorer } = parts.chunks;
  const version = await registry.modelVersion(run.modelVersionId);
  const results: ChunkResult[] = [];
  for (const [i, chunk] of chunks.entries()) {
    const readBefore = async () => batches[i] ?? Promise.reject(new Error(`chunk ${i} was not read`));
    const ready = { scorer, features: { ...features, readRange: readBefore } };
    results.push((await scoreChunk(ready, version, { run, chunk }, { lost: unlost }, () => {})).result);
  }
  return results;
}

async function commitAll({ parts, run, chunks }: Work, results: readonly ChunkResult[]) {
  const written: ScoredUsers[] = [];
  for (const [i, chunk] of chunks.entries()) {
    const commit = await parts.runs.commit(run, chunk, resultOf(results, i));
    if (!commit.committed) throw new Error(`chunk ${i} of the run by stages was refused: ${commit.why}`);
    written.push(commit.written);
  }
  return written;
}

async function loadAll(
  { parts, run, chunks }: Work,
  results: readonly ChunkResult[],
  written: readonly ScoredUsers[],
  isEnd: boolean,
): Promise<void> {
  const loads = chunks.map((chunk, i) => {
    const isLast = isEnd && i === chunks.length - 1;
    const result = resultOf(results, i);
    return loadChunk(parts.chunks, run, chunk, result, written[i] ?? result.scored, isLast);
  });
  const problem = (await Promise.all(loads)).find((one) => one !== null);
  if (problem !== undefined) throw new Error(`the run by stages was not loaded: ${problem}`);
}

function resultOf(results: readonly ChunkResult[], i: number): ChunkResult {
  const result = results[i];
  if (!result) throw new Error(`chunk ${i} was not scored`);
  return result;
}
