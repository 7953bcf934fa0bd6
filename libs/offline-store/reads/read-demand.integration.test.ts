import type { ReadCount } from '@tandem/prediction/demand/count-reads';
import { estimateBudget, HALF_LIFE_MS } from '@tandem/prediction/demand/estimate-budget';
import { groupRows, simulateReads } from '@tandem/prediction/demand/simulated-reads.fixture';
import { afterAll, beforeAll, beforeEach, describe, expect, inject, it } from 'vitest';
import { createEventStore } from '../events/events.ts';
import { createExpiries } from '../retention.ts';
import { createTestDatabase, type TestDatabase } from '../store.fixture.ts';
import { createErasureStore } from '../users/erasures.ts';
import { passDays } from './pass-days.fixture.ts';
import { createDemandStore, createReadCountStore, deleteReadCounts, findWeights } from './read-demand.ts';

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
/** Lets this many half-lives pass. */
const age = (halfLives: number) => passDays(database.pool, (halfLives * HALF_LIFE_MS) / 86_400_000);
const expire = () =>
  createExpiries(database.pool)
    .find(({ name }) => name === 'read_demand')
    ?.expireSome();

describe('the count of a user’s reads', () => {
  it('is the sum of the reads, and halves every three days; a user that was never read has no count', async () => {
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

  it('accepts ids with any characters, and tolerates a clock that was off by years', async () => {
    await put({ userId: 'a"b\\c,d' });
    await age(-5_000);
    expect((await weights('a"b\\c,d'))['a"b\\c,d']).toBeGreaterThan(1e300);
    await put({ userId: 'a"b\\c,d' });
    await age(10_000);
    expect((await weights('a"b\\c,d'))['a"b\\c,d']).toBeLessThan(1e-300);
    await put({ userId: 'a"b\\c,d', reads: 3 });
    expect((await weights('a"b\\c,d'))['a"b\\c,d']).toBeCloseTo(3, 3);
  });

  it('is deleted by an erasure, and earlier counts do not return with a readmission', async () => {
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

  it('of a lost past is omitted, since no erasure would find it by its label', async () => {
    const event = { source: 't', id: 'a', type: 'x', userId: '1', time: null, data: null };
    await createEventStore(database.pool).accept([event]);
    await put({ userId: '1', contextVersion: 2 }, { userId: '2', contextVersion: 1 });
    expect(await weights('1', '2')).toEqual({});
    await put({ userId: '1', contextVersion: 1 });
    expect(await weights('1')).toEqual({ '1': expect.any(Number) });
  });

  it('expires when it is negligible: for a user that was read once, after 20 days', async () => {
    await put({ userId: '1' }, { userId: '2', reads: 100 });
    await age(6.6);
    expect(await expire()).toEqual({ rows: 0, isDone: true });
    await age(0.1);
    expect(await expire()).toEqual({ rows: 1, isDone: true });
    expect(await weights('1', '2')).toEqual({ '2': expect.any(Number) });
  });

  it('is checked in pages, each of which continues after the previous one', async () => {
    await database.pool.query(`insert into tandem.read_demand (user_id, log_weight, context_version)
      select lpad(n::text, 6, '0'), 0, 0 from generate_series(1, 15000) n`);
    expect(await expire()).toEqual({ rows: 10_000, isDone: true });
    expect(await expire()).toEqual({ rows: 5_000, isDone: true });
    expect(await expire()).toEqual({ rows: 0, isDone: true });
  });
});

describe('statements on the same rows', () => {
  /** Inserts three rows, which have the order 2, 1, 3 on disk. */
  async function fill(): Promise<void> {
    for (const userId of ['2', '1', '3']) await put({ userId });
  }
  const holding = (userId: string) => `select from tandem.read_demand where user_id = '${userId}' for update`;
  const isWaiting = async () => {
    const { rows } = await database.pool.query(`select from pg_stat_activity where datname = current_database()
      and wait_event_type = 'Lock'`);
    return rows.length > 0;
  };

  it('never deadlock: a deletion locks its rows in the order in which counts are written', async () => {
    const erasures = createErasureStore(database.pool);
    await fill();
    const numbers: number[] = [];
    for (const userId of ['2', '1']) numbers.push((await erasures.setTombstone(userId)).tombstone.number);
    const writer = await database.pool.connect();
    try {
      await writer.query('begin');
      await writer.query(holding('1'));
      const deleted = deleteReadCounts(database.pool, numbers);
      deleted.catch(() => {});
      await expect.poll(isWaiting, { timeout: 10_000 }).toBe(true);
      await writer.query(holding('2'));
      await writer.query('commit');
      expect(await deleted).toBe(2);
    } finally {
      await writer.query('rollback');
      writer.release();
    }
  });

  it('do not wait: a row that is locked when it expires is left to the next check', async () => {
    await fill();
    await age(10);
    const writer = await database.pool.connect();
    try {
      await writer.query('begin');
      await writer.query(holding('1'));
      expect(await expire()).toMatchObject({ rows: 2 });
    } finally {
      await writer.query('rollback');
      writer.release();
    }
    expect(await expire()).toMatchObject({ rows: 1 });
  });
});

describe('weights of all users', () => {
  it('are estimated from some pages of a large table, even before it was ever analysed', async () => {
    // Each page has five rows. 2,000 of 4,000 pages are read.
    await database.pool.query(`alter table tandem.read_demand set (autovacuum_enabled = off)`);
    await database.pool.query(`insert into tandem.read_demand (user_id, log_weight, context_version)
      select n || repeat('x', 1000), 0, 0 from generate_series(1, 20000) n`);
    const db = await database.pool.connect();
    try {
      // Otherwise, the counter includes earlier reads of this connection.
      await db.query('select pg_stat_force_next_flush()');
      await db.query('begin');
      const [group] = await findWeights(db);
      const { rows } = await db.query(
        `select pg_stat_get_xact_tuples_returned('tandem.read_demand'::regclass)::int as read`,
      );
      expect(rows[0].read).toBeLessThan(14_000);
      expect(Math.abs((group?.users ?? 0) / 20_000 - 1)).toBeLessThan(0.2);
    } finally {
      await db.query('rollback');
      db.release();
    }
  });

  it('are returned in groups, the most read first', async () => {
    await put({ userId: '1', reads: 64 }, { userId: '2', reads: 64 }, { userId: '3', reads: 2 });
    const groups = await findWeights(database.pool);
    expect(groups.map(({ isCounted, users }) => [isCounted, users])).toEqual([
      [true, 2],
      [true, 1],
    ]);
  });

  it('are tested with the counts at the start of a day, drawn by the number of its reads', async () => {
    const userIds = Array.from({ length: 2_000 }, (_, i) => `${i}`);
    const putAll = (reads: number) => put(...userIds.map((userId) => ({ userId, reads })));
    await putAll(8);
    await passDays(database.pool, 3);
    await putAll(1);
    await putAll(2);
    await passDays(database.pool, 3);
    // The first day has 8 reads that count 1/16 of a new read, the second 3 that count 1/4, and this one 1.25.
    await putAll(0.5);
    await putAll(0.75);
    const { rows } = await database.pool.query(`select max(day) - sampled_day as days, count(*)::int as users,
        bool_and(d.log_before = l.log_before) as "isSame", min(power(2, log_sampled - log_weight)) as least,
        max(power(2, log_sampled - log_weight)) as most
      from tandem.read_demand d, lateral (select max(log_before) as log_before from tandem.read_demand) l
      group by sampled_day, day order by day - sampled_day`);
    expect(rows.map(({ days }) => days)).toEqual([0, 3, 6]);
    // Counts: 8 ÷ 4 before the second day's 3 ÷ 2, and both before today's 1.25.
    for (const [i, [share = 0, before = 0]] of [
      [0.5, 3.5 / 4.75],
      [0.3, 2 / 4.75],
      [0.2, 0],
    ].entries()) {
      expect(Math.abs(rows[i].users / 2_000 - share)).toBeLessThan(0.05);
      expect(rows[i].least).toBeCloseTo(before, 3);
      expect(rows[i].most).toBeCloseTo(before, 3);
    }
  });

  it('give the estimate of the simulated counts, whatever the time of the day', async () => {
    const simulated = simulateReads({ law: 0.9, perDay: 0.3, seed: 5 });
    const counted = simulated.rows.flatMap((row, i) => (row.weight > 0 ? [{ ...row, userId: `${i}` }] : []));
    // The simulation ends at the last midnight.
    const midnight = Math.floor(Date.now() / 86_400_000);
    const log = (weight: number) => Math.log2(weight) + midnight / 3;
    await database.pool.query(
      `insert into tandem.read_demand (user_id, log_weight, log_recent, sampled_day, log_sampled, context_version)
        select *, 0 from unnest($1::text[], $2::float8[], $3::float8[], $4::int[], $5::float8[])`,
      [
        counted.map(({ userId }) => userId),
        counted.map(({ weight }) => log(weight)),
        counted.map(({ recent }) => log(recent) + midnight / 3),
        counted.map(({ sampledDay }) => sampledDay - simulated.days + midnight),
        counted.map(({ sampled }) => log(sampled)),
      ],
    );
    const costs = { users: simulated.rows.length, cpuMsPerUser: null, msPerUser: 1 };
    const groups = await findWeights(database.pool);
    for (const scored of [500, 2_500, 6_000]) {
      const found = estimateBudget(scored, groups, costs);
      const expected = estimateBudget(scored, groupRows(simulated), costs);
      expect(Math.abs((found.reads ?? 0) - (expected.reads ?? 1))).toBeLessThan(0.005);
      expect(Math.abs((found.readsInterval?.low ?? 0) - (expected.readsInterval?.low ?? 1))).toBeLessThan(0.02);
      // Since midnight there were no reads, so that a later time expects fewer readers.
      expect(Math.abs((found.readers ?? 0) - (expected.readers ?? 1))).toBeLessThan(0.06);
    }
  });

  it('tolerate clocks that were off by years', async () => {
    await put({ userId: '1' }, { userId: '2' });
    for (const days of [-20_000, 40_000]) {
      await passDays(database.pool, days);
      await put({ userId: '2' });
      await findWeights(database.pool);
    }
  });
});
