/** Checks real stores after real erasures: they pass once a worker has repeated the deletes; inserted leftovers are found. */

import { createPredictionMemory } from '@tandem/freshness/prediction-memory';
import { createEraseUser } from '@tandem/prediction/erasure/erase-user';
import { createPredictionWorld, type PredictionWorld } from '@tandem/prediction/prediction-world.fixture';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Operation } from '../history.ts';
import { checkErased } from './check-erased.ts';
import { createChecker } from './checker.ts';
import { erase, readmit } from './written-history.fixture.ts';

let world: PredictionWorld;
let prefix: string;
beforeAll(async () => {
  world = await createPredictionWorld({ users: 40 });
  await world.run({ kind: 'all' });
  const memory = createPredictionMemory({ maxBytes: 1e6 });
  const eraseUser = createEraseUser({ store: world.erasures, online: world.onlineErasures, memory });
  for (const userId of ['1', '2']) await eraseUser(userId);
  await world.readmit('2');
  [prefix = ''] = (await world.keys())[0]?.split(':') ?? [];
});
afterAll(() => world?.close());

/** The erasure of user 1, with version 1. */
const ERASED = erase(0, 1);

async function found(
  history: readonly Operation[] = ERASED,
  round: () => Promise<unknown> = () => world.keepErased.round(),
  withinMs = 30_000,
) {
  const checker = createChecker();
  for (const operation of history) checker.write(operation);
  let isOver = false;
  const checking = checkErased({ db: world.pool, redis: world.connection.redis, prefix }, checker, withinMs).finally(
    () => {
      isOver = true;
    },
  );
  let last: Promise<unknown> = Promise.resolve();
  while (!isOver) {
    last = round();
    await Promise.race([last, checking]);
  }
  // The worker also restores the count of erasures in Redis, which the next test changes.
  await last;
  return checker.violations.first.map(({ rule, why }) => `${rule}: ${why}`);
}

describe('the check of erased users', () => {
  it('passes once a worker has repeated the deletes', async () => {
    expect(await found()).toEqual([]);
  });

  it('fails if no worker repeats the deletes', async () => {
    await world.pool.query('update tandem.erasures set sweeps = 0, sweep_at = clock_timestamp()');
    const idle = () => new Promise<void>((resolve) => setImmediate(resolve));
    expect(await found(ERASED, idle, 0)).toEqual(['erased user stored: no worker repeats the deletes']);
    expect(await found()).toEqual([]);
  });

  it('fails if Redis does not count the erasures of this history', async () => {
    const key = `${prefix}:{erasures}`;
    await world.connection.redis.set(key, `${'0'.repeat(16)}.9`);
    const idle = () => new Promise<void>((resolve) => setImmediate(resolve));
    expect(await found(ERASED, idle, 0)).toEqual([
      'erased user stored: no worker restores the count of erasures in Redis',
    ]);
    expect(await found()).toEqual([]);
  });

  it.each([
    [
      'a prediction from before the erasure of a readmitted user',
      `insert into tandem.predictions (generation_id, user_id, context_version, computed_at, outputs)
        select id, '2', 1, now(), '' from tandem.generations where state = 'published' limit 1`,
      `delete from tandem.predictions where user_id = '2'`,
    ],
    [
      'an event with its data',
      `insert into tandem.events (source, id, user_id) values ('late', '1', '1');
        update tandem.events set data = '{"changes": 1}' where source = 'late'`,
      `update tandem.events set data = null where source = 'late'`,
    ],
    [
      'values in the context of an erased user',
      `update tandem.user_contexts set features = '{"changes": {}}' where user_id = '1'`,
      `update tandem.user_contexts set features = '{}' where user_id = '1'`,
    ],
  ])('finds %s in Postgres', async (_, put, take) => {
    // All deletes have been repeated, so no worker removes the inserted row.
    await world.pool.query('update tandem.erasures set sweep_at = null');
    await world.pool.query(put);
    expect(await found()).toEqual(['erased user stored: in Postgres']);
    await world.pool.query(take);
  });

  it.each([
    ['a field of a generation', ':g:', (key: string) => world.connection.redis.hset(key, '1', 'x')],
    ['an entry of the overlay', ':o:', (key: string) => world.connection.redis.set(key, 'x')],
  ])('finds %s in Redis', async (_, kind, put) => {
    await world.pool.query('update tandem.erasures set sweep_at = null');
    const bucket = (await world.keys()).find((key) => key.includes(':g:')) ?? '';
    const key = kind === ':g:' ? bucket : `${prefix}:o:{tag}1:changes`;
    await put(key);
    expect(await found()).toEqual(['erased user stored: in Redis']);
    await (kind === ':g:' ? world.connection.redis.hdel(key, '1') : world.connection.redis.del(key));
  });
});

describe('a tombstone', () => {
  it('is reported as lost if it was acknowledged and is not stored', async () => {
    expect(await found(erase(0, 7))).toEqual(['event versions: an acknowledged tombstone is lost']);
  });

  it('is reported as missing if the user was readmitted without a request', async () => {
    await world.readmit('1');
    expect(await found()).toEqual(['event versions: the user is not erased']);
    expect(await found([...ERASED, ...readmit(20, 2)])).toEqual([]);
  });
});
