import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { createPredictionWorld, type PredictionWorld } from '../prediction-world.fixture.ts';
import { createRunChunk, type RunChunkDependencies } from './run-chunk.ts';
import type { RunHints } from './run-store.ts';
import { publishNow } from './steps.fixture.ts';

let world: PredictionWorld;
let hinted: string[];
const hints: RunHints = {
  plan: async () => {},
  chunks: async (refs) => void hinted.push(...refs.map(({ no, fence }) => `chunk ${no} ${fence}`)),
  publish: async () => {},
  load: async () => {},
};

beforeAll(async () => {
  world = await createPredictionWorld({ users: 40 });
});
beforeEach(async () => {
  hinted = [];
  await world.pool.query(
    "update tandem.runs set state = 'cancelled' where state in ('planned', 'running', 'publishing')",
  );
});
afterAll(() => world?.close());

const workerWith = (parts: Partial<RunChunkDependencies> = {}) =>
  createRunChunk({ ...world.chunkParts, hints, ...parts });

describe('a chunk of a slow worker', () => {
  /** Returns a clock that advances by this many ms at each reading. */
  const clockOf = (stepMs: number) => {
    let now = 0;
    return () => (now += stepMs);
  };
  /** Plans a run with one chunk of all 40 users, which are scored 16 at a time. */
  async function planOneChunk(): Promise<string> {
    await world.adoptWith({}, { chunkSize: 100 });
    const runId = await world.plan();
    await world.adoptWith();
    return runId;
  }

  it('is committed as far as it was scored, and other workers score the rest: each user has one prediction', async () => {
    const runId = await planOneChunk();
    const report = await workerWith({ now: clockOf(20_000) })(runId, 0);
    expect(report).toMatchObject({ outcome: 'committed', usersScored: 16, usersHandedBack: 24, chunksOpen: 3 });
    expect(hinted.toSorted()).toEqual(['chunk 1 0', 'chunk 2 0', 'chunk 3 0']);
    for (const no of [1, 2, 3]) expect(await workerWith()(runId, no)).toMatchObject({ usersScored: 8, usersFailed: 0 });
    expect(await publishNow(world.runs, runId, world.loader)).toMatchObject({
      state: 'done',
      generation: { users: 40 },
    });
  });

  it('is not split if it takes its intended time, nor while chunks of the run wait', async () => {
    const runId = await planOneChunk();
    expect(await workerWith({ now: clockOf(1) })(runId, 0)).toMatchObject({ usersScored: 40, usersHandedBack: 0 });
    await world.runs.cancel(runId).catch(() => undefined);
    const other = await world.plan();
    expect(await workerWith({ now: clockOf(20_000) })(other, 0)).toMatchObject({ usersScored: 20, usersHandedBack: 0 });
  });

  it('of a stopping process returns its unscored users', async () => {
    const runId = await planOneChunk();
    const stopping = new AbortController();
    const scorer: RunChunkDependencies['scorer'] = {
      async score(request) {
        stopping.abort();
        return world.inference.score(request);
      },
    };
    const worker = workerWith({ scorer, stopping: stopping.signal });
    expect(await worker(runId, 0)).toMatchObject({ outcome: 'committed', usersScored: 16, usersHandedBack: 24 });
  });

  it('is released and enqueued again if its process stops before it has read users', async () => {
    const runId = await world.plan();
    const stopping = new AbortController();
    const modelVersion = async (id: string) => {
      stopping.abort(new Error('the worker was stopped'));
      return world.registry.modelVersion(id);
    };
    const worker = workerWith({ registry: { modelVersion }, stopping: stopping.signal, maxAttempts: 1 });
    expect(await worker(runId, 0)).toMatchObject({ outcome: 'stopped', fence: 1 });
    expect(hinted).toEqual(['chunk 0 1']);
    expect(await workerWith()(runId, 0)).toMatchObject({ outcome: 'committed', usersScored: 20 });
  });

  it('returns no users if its run is cancelled; the resumed run scores the remaining users once', async () => {
    const runId = await planOneChunk();
    await workerWith({ now: clockOf(20_000) })(runId, 0);
    await workerWith()(runId, 1);
    await world.runs.cancel(runId);
    expect(await workerWith()(runId, 2)).toEqual({ outcome: 'nothing_to_do' });
    await world.runs.resume(runId);
    for (const no of [0, 1, 2, 3]) await workerWith()(runId, no);
    expect(await publishNow(world.runs, runId, world.loader)).toMatchObject({
      state: 'done',
      generation: { users: 40 },
    });
  });

  it('that was split before a failover is scored as a whole in the new history', async () => {
    const runId = await planOneChunk();
    await workerWith({ now: clockOf(20_000) })(runId, 0);
    await workerWith()(runId, 1);
    await world.pool.query('update tandem.history_rotation set rotation = gen_random_uuid()');
    for (const no of [2, 3, 0]) await workerWith()(runId, no);
    expect(await publishNow(world.runs, runId, world.loader)).toMatchObject({
      state: 'done',
      generation: { users: 40 },
    });
  });
});
