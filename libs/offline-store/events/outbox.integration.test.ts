import { relayOutbox } from '@tandem/prediction/events/relay-outbox';
import { afterAll, beforeAll, beforeEach, expect, inject, test } from 'vitest';
import { adopt } from '../adopt.ts';
import { query } from '../sql/database.ts';
import { findSettings } from '../sql/settings.ts';
import { createTestDatabase, createVisits, type TestDatabase, visitsPredictor } from '../store.fixture.ts';
import { createEventStore } from './events.ts';
import { createOutbox } from './outbox.ts';

let database: TestDatabase;
beforeAll(async () => {
  database = await createTestDatabase(inject('databaseUrl'), inject('templateDatabase'));
});
beforeEach(async () => {
  await database.reset();
  await createVisits(database.pool, 10);
  await adopt(database.pool, { predictors: [visitsPredictor()], actor: 'test' });
});
afterAll(() => database.drop());

const event = (id: string, userId: string, data: Record<string, unknown> | null = null) => ({
  ...{ source: 't', type: 'x', time: null },
  ...{ id, userId, data },
});
const countOf = async (table: string) =>
  (await query<{ n: number }>(database.pool, { text: `select count(*) as n from ${table}` }))[0]?.n;
const emptying = () => createOutbox(database.pool, { emptyAboveBytes: 0 });
const nothing = { raise: async () => undefined };
/** Fills the slot that will be current in half a minute. */
const fill = (rows: number) =>
  database.pool.query(
    `insert into tandem.outbox (slot, user_id, context_version)
      select tandem.outbox_slot(clock_timestamp() + interval '30 s'), n::text, 1 from generate_series(1, $1) n`,
    [rows],
  );
const sizeOfAll = async () =>
  (
    await query<{ bytes: number }>(database.pool, {
      text: `select sum(pg_relation_size(inhrelid))::bigint as bytes from pg_inherits where inhparent = 'tandem.outbox'::regclass`,
    })
  )[0]?.bytes;

test('entries are relayed with the history of their versions, and unused names are counted once', async () => {
  const { history } = await findSettings(database.pool);
  await createEventStore(database.pool).accept([
    event('1', '1', { odd: 1 }),
    event('2', '1', { odd: 2, orders: 1 }),
    event('3', '2'),
  ]);
  const raised: unknown[] = [];
  const hints = { raise: async (all: readonly unknown[]) => void raised.push(...all) };
  expect(await relayOutbox(createOutbox(database.pool), hints)).toBe(2);
  expect(raised).toEqual([
    { userId: '1', history, version: 2 },
    { userId: '2', history, version: 1 },
  ]);
  expect(await relayOutbox(createOutbox(database.pool), hints)).toBe(0);
  expect(await query(database.pool, { text: 'select name, events from tandem.unused_event_names' })).toEqual([
    { name: 'odd', events: 2 },
  ]);
});

test('entries with failed hints stay, and their names are not counted', async () => {
  await createEventStore(database.pool).accept([event('1', '1', { odd: 1 })]);
  const failing = { raise: () => Promise.reject(new Error('Redis is down')) };
  await expect(relayOutbox(createOutbox(database.pool), failing)).rejects.toThrow('Redis is down');
  expect([await countOf('tandem.outbox'), await countOf('tandem.unused_event_names')]).toEqual([1, 0]);
});

test('each entry is relayed by one of two concurrent relays', async () => {
  await fill(2_500);
  const told: string[][] = [[], []];
  const { promise: bothTold, resolve } = Promise.withResolvers<void>();
  const relays = told.map((users) =>
    relayOutbox(createOutbox(database.pool), {
      async raise(hints) {
        users.push(...hints.map(({ userId }) => userId));
        // Neither relay releases its first page before the other has a page.
        if (told.every(({ length }) => length > 0)) resolve();
        await bothTold;
      },
    }),
  );
  const relayed = await Promise.all(relays);
  expect(relayed.reduce((sum, n) => sum + n)).toBe(2_500);
  expect([told.flat().length, new Set(told.flat()).size]).toEqual([2_500, 2_500]);
  expect(await countOf('tandem.outbox')).toBe(0);
});

test('a relay that loses its connection between hint and removal leaves its entries to another relay', async () => {
  await fill(3);
  const kill = async () => {
    await database.pool.query(`select pg_terminate_backend(pid) from pg_stat_activity
      where datname = current_database() and state = 'idle in transaction'`);
  };
  await expect(relayOutbox(createOutbox(database.pool), { raise: kill })).rejects.toMatchObject({
    code: 'unavailable',
  });
  expect(await countOf('tandem.outbox')).toBe(3);
  // Postgres may keep the locks of the ended connection for a short time.
  await expect.poll(() => relayOutbox(createOutbox(database.pool), nothing), { timeout: 20_000 }).toBe(3);
});

test('a slot without rows is truncated, even while an older snapshot is open', async () => {
  await fill(1_500);
  const older = await database.pool.connect();
  await older.query('begin isolation level repeatable read');
  await older.query('select from tandem.settings');
  expect(await relayOutbox(emptying(), nothing)).toBe(1_500);
  expect(await sizeOfAll()).toBe(0);
  await older.query('commit');
  older.release();
});

test('a slot with rows of an open transaction is not truncated, and nothing waits', async () => {
  await fill(1_500);
  const sender = await database.pool.connect();
  await sender.query('begin');
  await sender.query(`insert into tandem.outbox (slot, user_id, context_version)
    values (tandem.outbox_slot(clock_timestamp() + interval '30 s'), 'late', 1)`);
  expect(await relayOutbox(emptying(), nothing)).toBe(1_500);
  expect(await sizeOfAll()).toBeGreaterThan(0);
  await sender.query('commit');
  sender.release();
  expect(await relayOutbox(emptying(), nothing)).toBe(1);
  expect(await sizeOfAll()).toBe(0);
});

test('a worker of the previous release relays, too', async () => {
  await createEventStore(database.pool).accept([event('1', '1'), event('2', '2')]);
  const read = await query<{ seq: number; user_id: string }>(database.pool, {
    text: `select o.* from (select 1) h left join lateral (select * from tandem.outbox order by seq limit 1) o on true`,
  });
  expect(read).toMatchObject([{ user_id: '1', context_version: 1 }]);
  await database.pool.query('delete from tandem.outbox where seq = any($1::bigint[])', [read.map(({ seq }) => seq)]);
  expect(await relayOutbox(createOutbox(database.pool), nothing)).toBe(1);
});
