import type { ReadCount } from '@tandem/prediction/demand/count-reads';
import { HALF_LIFE_MS } from '@tandem/prediction/demand/estimate-budget';
import { afterAll, beforeAll, beforeEach, describe, expect, inject, it } from 'vitest';
import { createEventStore } from '../events/events.ts';
import { createExpiries } from '../retention.ts';
import { createTestDatabase, type TestDatabase } from '../store.fixture.ts';
import { createErasureStore } from '../users/erasures.ts';
import { createDemandStore, createReadCountStore, findWeights } from './read-demand.ts';

let database: TestDatabase;
beforeAll(async () => {
  database = await createTestDatabase(inject('databaseUrl'), inject('templateDatabase'));
});
beforeEach(() => database.reset());
afterAll(() => database?.drop());

const put = (...counts: (Partial<ReadCount> & { userId: string })[]) =>
  createReadCountStore(database.pool).put(counts.map((one) => ({ reads: 1, contextVersion: 0, ...one })));
const weights = async (...userIds: string[]) =>
  Object.fromEntries(await createDemandStore(database.pool).weightsOf(userIds));
/** As so many half-lives later. */
const age = (halfLives: number) =>
  database.pool.query('update tandem.read_demand set log_weight = log_weight - $1', [halfLives]);
const expire = () =>
  createExpiries(database.pool)
    .find(({ name }) => name === 'read_demand')
    ?.expireSome();

describe('the count of a user’s reads', () => {
  it('is their sum, and halves every three days; of a user who was never read it is not there', async () => {
    expect(HALF_LIFE_MS).toBe(3 * 86_400_000);
    await put({ userId: '1', reads: 6 }, { userId: '2' });
    await put({ userId: '1', reads: 2 });
    const now = await weights('1', '2', '3');
    expect(now['1']).toBeCloseTo(8, 3);
    expect(now['2']).toBeCloseTo(1, 3);
    expect(now['3']).toBeUndefined();
    await age(2);
    await put({ userId: '1', reads: 5 });
    const later = await weights('1', '2');
    expect(later['1']).toBeCloseTo(7, 3);
    expect(later['2']).toBeCloseTo(0.25, 3);
  });

  it('takes ids of any characters, and bears a clock that was years away', async () => {
    await put({ userId: 'a"b\\c,d' });
    await age(-5_000);
    expect((await weights('a"b\\c,d'))['a"b\\c,d']).toBeGreaterThan(1e300);
    await put({ userId: 'a"b\\c,d' });
    await age(10_000);
    expect((await weights('a"b\\c,d'))['a"b\\c,d']).toBeLessThan(1e-300);
    await put({ userId: 'a"b\\c,d', reads: 3 });
    expect((await weights('a"b\\c,d'))['a"b\\c,d']).toBeCloseTo(3, 3);
  });

  it('goes with an erasure, and what was counted before it does not come back with a readmission', async () => {
    const erasures = createErasureStore(database.pool);
    await put({ userId: '1', reads: 9 }, { userId: '2' });
    const { tombstone } = await erasures.setTombstone('1');
    await put({ userId: '1' });
    expect(await erasures.deleteRows([tombstone.number])).toMatchObject({ readCounts: 1 });
    await put({ userId: '1' });
    expect(await weights('1', '2')).toEqual({ '2': expect.any(Number) });
    const { version } = await erasures.readmit('1');
    await put({ userId: '1', contextVersion: tombstone.version });
    expect(await weights('1')).toEqual({});
    await put({ userId: '1', contextVersion: version });
    expect(await erasures.deleteRows([tombstone.number])).toMatchObject({ readCounts: 0 });
    expect((await weights('1'))['1']).toBeCloseTo(1, 3);
  });

  it('of a past that is lost is left out: no erasure would know it by its label', async () => {
    const event = { source: 't', id: 'a', type: 'x', userId: '1', time: null, data: null };
    await createEventStore(database.pool).accept([event]);
    await put({ userId: '1', contextVersion: 2 }, { userId: '2', contextVersion: 1 });
    expect(await weights('1', '2')).toEqual({});
    await put({ userId: '1', contextVersion: 1 });
    expect(await weights('1')).toEqual({ '1': expect.any(Number) });
  });

  it('expires when it is next to nothing: a user who was read once, after 20 days', async () => {
    await put({ userId: '1' }, { userId: '2', reads: 100 });
    await age(6.6);
    expect(await expire()).toEqual({ rows: 0, isDone: true });
    await age(0.1);
    expect(await expire()).toEqual({ rows: 1, isDone: true });
    expect(await weights('1', '2')).toEqual({ '2': expect.any(Number) });
  });

  it('is looked at in pages, each from where the last one ended', async () => {
    await database.pool.query(`insert into tandem.read_demand (user_id, log_weight, context_version)
      select lpad(n::text, 6, '0'), 0, 0 from generate_series(1, 15000) n`);
    expect(await expire()).toEqual({ rows: 10_000, isDone: true });
    expect(await expire()).toEqual({ rows: 5_000, isDone: true });
    expect(await expire()).toEqual({ rows: 0, isDone: true });
  });
});

describe('weights of all users', () => {
  it('are told in groups, the most read first', async () => {
    await put({ userId: '1', reads: 64 }, { userId: '2', reads: 64 }, { userId: '3', reads: 2 });
    const [most, least, ...others] = await findWeights(database.pool);
    expect(others).toEqual([]);
    expect([most?.users, least?.users]).toEqual([2, 1]);
    expect(most?.weight).toBeCloseTo(64, 2);
    expect(least?.weight).toBeCloseTo(2, 2);
  });
});
