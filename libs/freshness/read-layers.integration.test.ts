/** Reads of a generation with a base: the layer that has the user answers, whatever Redis and memory still hold. */
import {
  createPredictionWorld,
  inShort,
  PREDICTOR,
  type PredictionWorld,
} from '@tandem/prediction/prediction-world.fixture';
import { afterAll, beforeEach, describe, expect, it } from 'vitest';
import { createPredictionMemory } from './prediction-memory.ts';
import { PLAIN_READ, type ReadOptions } from './read-options.ts';
import type { PredictionReaderDependencies } from './reader.ts';

let world: PredictionWorld;
beforeEach(async () => {
  await world?.close();
  world = await createPredictionWorld({ users: 40 });
});
afterAll(() => world?.close());

function createReader(parts: Partial<PredictionReaderDependencies> = {}) {
  const memory = createPredictionMemory({ maxBytes: 1e6 });
  const read = world.createReader({ memory, ...parts });
  return async (userIds: readonly string[], options: Partial<ReadOptions> = {}) => {
    const results = await read(PREDICTOR, userIds, { ...PLAIN_READ, ...options });
    return results.map((one) => `${inShort(one)} ${'generationNumber' in one ? `of ${one.generationNumber}` : ''}`);
  };
}

/** Changes the source of some users without an event, and scores these users in a run with a budget. */
async function runOf(...userIds: string[]) {
  await world.pool.query('truncate tandem.read_demand');
  await world.pool.query(
    `insert into tandem.read_demand (user_id, log_weight, context_version) select unnest($1::text[]), 1000, 0`,
    [userIds],
  );
  await world.pool.query('update counts set changes = changes + 1');
  return world.run({ kind: 'all' }, {}, 'stable', { share: userIds.length / 40 });
}

const REDIS_IS_AWAY: PredictionReaderDependencies['online'] = {
  serverId: () => null,
  toldOfErasures: async () => null,
  toldOfWithdrawals: async () => null,
  find: () => Promise.reject(new Error('away')),
};

describe('a read above a base', () => {
  it('answers from the layer of each user, and names that layer', async () => {
    await world.run({ kind: 'all' });
    expect((await runOf('1', '2')).outcome).toMatchObject({ loaded: true, generation: { users: 2 } });
    const expected = ['batch fresh 0.1 of 2', 'batch fresh 0.1 of 2', 'batch fresh 0 of 1', 'live missing 0.1 of null'];
    await world.pool.query('insert into counts values (99, 1)');
    for (const parts of [{}, { online: REDIS_IS_AWAY }]) {
      const short = createReader(parts);
      expect(await short(['1', '2', '3'])).toEqual(expected.slice(0, 3));
      expect(await short(['3', '1', '2'])).toEqual([expected[2], expected[0], expected[1]]);
    }
    expect(await createReader()(['1', '2', '3', '99'])).toEqual(expected);
  });

  it('judges a row of the base by its own label, its own run and its own age', async () => {
    await world.run({ kind: 'all' });
    await runOf('1', '2');
    await world.change('3');
    const short = createReader();
    expect(await short(['1', '3', '4'])).toEqual([
      'batch fresh 0.1 of 2',
      'live context_newer 0.2 of null',
      'batch fresh 0 of 1',
    ]);
    // The run of generation 2 includes a bulk change of a watched source that outdates its base.
    await world.pool.query(`update tandem.runs set source_version = 1
      where id = (select run_id from tandem.generations where number = 2)`);
    await world.pool.query(`insert into tandem.source_versions (predictor, version) values ($1, 1)`, [PREDICTOR]);
    expect(await short(['1', '4'])).toEqual(['batch fresh 0.1 of 2', 'live context_newer 0.1 of null']);
    // The next bulk change outdates both layers. The next run then has no usable base, so it scores all users.
    await world.pool.query('update tandem.source_versions set version = 2');
    expect(await short(['1', '4'])).toEqual(Array(2).fill('live context_newer 0.1 of null'));
    await runOf('1');
    expect(await short(['1', '2', '4'])).toEqual(Array(3).fill('batch fresh 0.2 of 3'));
  });

  it('uses no row of the base if Redis may lack a row above it, even if memory holds the base’s row', async () => {
    await world.run({ kind: 'all' });
    const short = createReader();
    expect(await short(['1', '2'])).toEqual(Array(2).fill('batch fresh 0 of 1'));
    const { outcome } = await runOf('1', '2');
    expect(await short(['1', '2'])).toEqual(Array(2).fill('batch fresh 0.1 of 2'));
    expect(await createReader()(['1', '3'])).toEqual(['batch fresh 0.1 of 2', 'batch fresh 0 of 1']);
    expect(await world.loseKeys(`g:${outcome?.generation?.id}`)).toBeGreaterThan(0);
    expect(await createReader()(['1', '2', '3'])).toEqual([
      'batch fresh 0.1 of 2',
      'batch fresh 0.1 of 2',
      'batch fresh 0 of 1',
    ]);
    // The next run also carries over user 2, but the user's row is not in Redis yet.
    await runOf('1');
    expect(await short(['1', '2', '3'])).toEqual([
      'batch fresh 0.2 of 3',
      'batch fresh 0.1 of 3',
      'batch fresh 0 of 1',
    ]);
  });

  it('answers as before after a rollback to either layer', async () => {
    await world.run({ kind: 'all' });
    await runOf('1');
    const short = createReader();
    const above = await short(['1', '2']);
    await world.generations.rollBack({ predictor: PREDICTOR, to: 1, actor: 'test' });
    expect(await short(['1', '2'])).toEqual(['batch fresh 0 of 1', 'batch fresh 0 of 1']);
    await world.generations.rollBack({ predictor: PREDICTOR, to: 2, actor: 'test' });
    expect(await short(['1', '2'])).toEqual(above);
  });

  it('serves nothing of an erased user, even if a row remains in a layer', async () => {
    await world.run({ kind: 'all' });
    await runOf('1');
    const short = createReader();
    await short(['1', '2']);
    await world.erase('1');
    await world.erase('2');
    expect(await short(['1', '2', '3'])).toEqual(['unknown_user ', 'unknown_user ', 'batch fresh 0 of 1']);
  });

  it('serves rows of both layers as stale while Postgres does not answer', async () => {
    await world.run({ kind: 'all' });
    await runOf('1');
    let isAway = false;
    const authority: PredictionReaderDependencies['authority'] = {
      certify: (...asked) => (isAway ? Promise.reject(new Error('away')) : world.authority.certify(...asked)),
    };
    const short = createReader({ authority });
    await short(['9']);
    isAway = true;
    expect(await short(['1', '2'])).toEqual(['stale unverified 0.1 of 2', 'stale unverified 0 of 1']);
  });
});
