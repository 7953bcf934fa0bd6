/**
 * Predictions that were scored in a lost past. The next history gives the same versions to other changes, so a label
 * alone cannot distinguish them. Redis and the memory of a reader still have the lost predictions.
 */

import { TandemError } from '@tandem/freshness/errors';
import { createPredictionMemory } from '@tandem/freshness/prediction-memory';
import { PLAIN_READ } from '@tandem/freshness/read-options';
import type { PredictionReaderDependencies } from '@tandem/freshness/reader';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import {
  createGate,
  createPredictionWorld,
  inShort,
  PREDICTOR,
  type PredictionWorld,
} from '../prediction-world.fixture.ts';
import { receiveNothingMore, type Standby } from './lossy-failover.fixture.ts';
import { loadGeneration } from './online-generations.ts';
import { createRunChunk, type RunChunkDependencies } from './run-chunk.ts';
import { publishNow } from './steps.fixture.ts';

/** A user of the first chunk, a user of the second, and a user without changes. */
const [FIRST, SECOND, OTHER] = ['1', '40', '2'];
const redisIsAway = () => Promise.reject(new TandemError('unavailable', 'The online store cannot be reached.'));

let world: PredictionWorld;
beforeAll(async () => {
  world = await createPredictionWorld({ users: 40 });
});
beforeEach(() => world.pool.query('update counts set changes = 0'));
afterAll(() => world?.close());

const workerWith = (parts: Partial<RunChunkDependencies> = {}) => createRunChunk({ ...world.chunkParts, ...parts });

function createReader(parts: Partial<PredictionReaderDependencies> = {}) {
  const read = world.createReader({ memory: createPredictionMemory({ maxBytes: 1e6 }), ...parts });
  return async (...userIds: string[]) => (await read(PREDICTOR, userIds, PLAIN_READ)).map(inShort);
}

/** Runs a step after a chunk is claimed and before its features are read. */
function readingAfter(happens: () => Promise<unknown>): Pick<RunChunkDependencies, 'features'> {
  const { features } = world;
  const readRange: typeof features.readRange = async (...range) => {
    await happens();
    return features.readRange(...range);
  };
  return { features: { ...features, readRange } };
}

/** Expires the leases of the dead worker, and lets another worker finish the run. */
async function goOn(runId: string, parts: Partial<RunChunkDependencies> = {}) {
  await world.pool.query(`update tandem.chunks set lease_until = clock_timestamp() where state = 'claimed'`);
  for (;;) {
    const [next] = await world.runs.claimable(runId, 1);
    if (!next) break;
    expect(await workerWith(parts)(runId, next.no)).toMatchObject({ outcome: 'committed' });
  }
  return publishNow(world.runs, runId, world.loader);
}

describe('a run in progress at a lossy failover', () => {
  it('is scored again, and rows of the lost past in Redis or memory are ignored', async () => {
    await world.run({ kind: 'all' });
    const runId = await world.plan();
    let standby: Standby | undefined;
    const reading = readingAfter(async () => {
      standby ??= await receiveNothingMore(world);
      await world.change(FIRST, 2);
    });
    expect(await workerWith(reading)(runId, 0)).toMatchObject({ outcome: 'committed', loadError: null });
    expect(await workerWith()(runId, 1)).toMatchObject({ outcome: 'committed', loadError: null });
    expect(await publishNow(world.runs, runId, world.loader)).toMatchObject({ state: 'done', loaded: true });
    const [holding, other] = [createReader(), createReader()];
    expect(await holding(FIRST, OTHER)).toEqual(['batch fresh 0.2', 'batch fresh 0']);

    await standby?.takeOver();
    expect(await holding(FIRST)).toEqual(['batch fresh 0']);
    await world.change(FIRST, 1);
    const outcome = await goOn(runId, { loader: { loadScored: redisIsAway } });
    // Rows of the lost past in Redis do not count as users of this generation.
    expect(outcome).toMatchObject({ state: 'done', loaded: false });
    for (const read of [holding, other]) expect(await read(FIRST, OTHER)).toEqual(['batch fresh 0.1', 'batch fresh 0']);
    expect(await loadGeneration(world, outcome?.generation?.id ?? '')).toEqual({ outcome: 'loaded', rows: 40 });
    for (const read of [holding, createReader()]) expect(await read(FIRST)).toEqual(['batch fresh 0.1']);
  });

  it('commits nothing that a worker has read in the lost past, even if its claim survives', async () => {
    const runId = await world.plan();
    const { features } = world;
    const readRange: typeof features.readRange = async (...range) => {
      const standby = await receiveNothingMore(world);
      await world.change(FIRST, 2);
      const batch = await features.readRange(...range);
      await standby.takeOver();
      return batch;
    };
    const worker = workerWith({ features: { ...features, readRange } });
    expect(await worker(runId, 0)).toMatchObject({ outcome: 'abandoned', why: 'history_changed' });
    // The version of the lost change is assigned again, to another change.
    await world.change(FIRST, 1);
    expect(await goOn(runId)).toMatchObject({ state: 'done' });
    expect(await createReader()(FIRST)).toEqual(['batch fresh 0.1']);
  });

  it('is not mixed with rows that a worker of the lost past loads late', async () => {
    const runId = await world.plan();
    await workerWith()(runId, 0);
    const gate = createGate();
    const find: typeof world.generations.find = async (id) => {
      await gate.pass();
      return world.generations.find(id);
    };
    const standby = await receiveNothingMore(world);
    await world.change(SECOND, 2);
    const late = workerWith({ generations: { find } })(runId, 1);
    await gate.arrived;

    await standby.takeOver();
    await world.change(SECOND, 1);
    const made = await goOn(runId, { loader: { loadScored: redisIsAway } });
    gate.open();
    expect(await late).toMatchObject({ outcome: 'committed', loadError: 'the generation is dropped' });
    expect(await loadGeneration(world, made?.generation?.id ?? '')).toEqual({ outcome: 'loaded', rows: 40 });
    expect(await createReader({ offline: { find: async () => new Map() } })(SECOND)).toEqual(['batch fresh 0.1']);
  });
});

describe('a generation', () => {
  it('that was published before the lost commits stays valid in Redis and in memory', async () => {
    await world.run({ kind: 'all' });
    const holding = createReader({ offline: { find: redisIsAway } });
    expect(await holding(OTHER)).toEqual(['batch fresh 0']);
    const standby = await receiveNothingMore(world);
    await world.change(FIRST, 2);
    expect(await holding(FIRST)).toEqual(['live context_newer 0.2']);
    await standby.takeOver();
    expect(await holding(FIRST, OTHER)).toEqual(['batch fresh 0', 'batch fresh 0']);
    await world.change(FIRST, 1);
    expect(await holding(FIRST, OTHER)).toEqual(['live context_newer 0.1', 'batch fresh 0']);
  });

  it('is computed again if its publication is lost', async () => {
    const runId = await world.plan();
    for (const no of [0, 1]) await workerWith()(runId, no);
    const standby = await receiveNothingMore(world);
    const lost = await publishNow(world.runs, runId, world.loader);
    const holding = createReader();
    expect(await holding(FIRST)).toEqual(['batch fresh 0']);

    await standby.takeOver();
    await world.change(FIRST, 1);
    expect(await publishNow(world.runs, runId, world.loader)).toBeNull();
    const made = await goOn(runId);
    expect(made).toMatchObject({ state: 'done', generation: { number: lost?.generation?.number } });
    expect(made?.generation?.id).not.toBe(lost?.generation?.id);
    expect(await holding(FIRST)).toEqual(['batch fresh 0.1']);
  });
});
