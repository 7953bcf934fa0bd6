/** Concurrent transactions on watched tables: the users that their keys name, their locks, and how they commit. */
import { setTimeout } from 'node:timers/promises';
import pg from 'pg';
import { afterAll, beforeAll, beforeEach, describe, expect, inject, test } from 'vitest';
import { adopt } from '../adopt.ts';
import { query } from '../sql/database.ts';
import { createTurns } from '../sql/turns.ts';
import { createTestDatabase, createVisits, type TestDatabase, visitsPredictor } from '../store.fixture.ts';
import { createErasureStore } from '../users/erasures.ts';
import { createExamineWatches } from './repair-watches.ts';
import type { WatchRequest } from './watch-request.ts';
import { watchSource } from './watch-source.ts';
import { listWatchedSources } from './watched-sources.ts';

const CUSTOMER = '(select o.customer_id from shop.orders o where o.id = changed.order_id)';

let database: TestDatabase;
let one: pg.Client;
let other: pg.Client;

beforeAll(async () => {
  database = await createTestDatabase(inject('databaseUrl'), inject('templateDatabase'));
  await createVisits(database.pool, 1);
  await adopt(database.pool, { predictors: [visitsPredictor()], actor: 'test' });
});
afterAll(() => database?.drop());

const sql = (text: string) => database.pool.query(text);

beforeEach(async () => {
  await sql('truncate tandem.watched_sources, tandem.watched_relations');
  await sql('drop schema if exists shop cascade; truncate tandem.watch_faults');
  await sql(`create schema shop;
    create table shop.customers (id bigint primary key, spent float8 not null default 0);
    insert into shop.customers (id) select n from generate_series(101, 110) n;
    create table shop.orders (id int primary key, customer_id bigint not null references shop.customers);
    insert into shop.orders select n, 100 + n from generate_series(1, 10) n;
    create table shop.items (order_id int references shop.orders, amount float8);
    truncate tandem.user_contexts, tandem.outbox, tandem.erasures;
    update tandem.source_versions set version = 0`);
  [one, other] = await Promise.all([connect(), connect()]);
  return () => Promise.all([one.end(), other.end()]);
});

async function connect(): Promise<pg.Client> {
  const client = new pg.Client({ connectionString: database.url });
  await client.connect();
  return client;
}

const watch = (changes: Partial<WatchRequest> = {}) =>
  watchSource(database.pool, {
    ...{ table: 'shop.orders', key: 'customer_id', columns: null, predictors: ['visits'], actor: 'test' },
    ...changes,
  });
const watchItems = () => watch({ table: 'shop.items', key: CUSTOMER });

/** Returns the version of each user that has one. */
async function versions(): Promise<Record<string, number>> {
  const rows = await query<{ userId: string; version: number }>(database.pool, {
    text: `select user_id as "userId", version from tandem.user_contexts where version > 0 order by user_id`,
  });
  return Object.fromEntries(rows.map(({ userId, version }) => [userId, version]));
}

/** Resolves when a session waits for a lock. */
async function waitsForLock(): Promise<void> {
  for (;;) {
    const waiting = await query(database.pool, {
      text: `select from pg_locks l join pg_database d on d.oid = l.database or l.database is null
        join pg_stat_activity a using (pid) where not l.granted and a.datname = current_database() limit 1`,
    });
    if (waiting.length > 0) return;
    await setTimeout(5);
  }
}

describe('a key that looks up a parent row', () => {
  beforeEach(async () => {
    await watch();
    await watchItems();
  });

  test('gives the new user if another transaction moved the parent after the statement', async () => {
    await one.query('begin; update shop.orders set customer_id = 102 where id = 1');
    await other.query('begin; insert into shop.items values (1, 5)');
    await one.query('commit');
    expect(await versions()).toEqual({ 101: 1, 102: 1 });
    await other.query('commit');
    expect(await versions()).toEqual({ 101: 1, 102: 2 });
  });

  test('gives that user also if the parent moves while the transaction commits', async () => {
    await one.query('begin; update shop.orders set customer_id = 102 where id = 1; set constraints all immediate');
    await other.query('begin; insert into shop.items values (1, 5)');
    const committed = other.query('commit');
    await waitsForLock();
    await one.query('commit');
    await committed;
    expect(await versions()).toEqual({ 101: 1, 102: 2 });
  });

  test('lets the transaction that moves the parent raise both users after it, if it commits first', async () => {
    await one.query('begin; update shop.orders set customer_id = 102 where id = 1');
    await sql('insert into shop.items values (1, 5)');
    expect(await versions()).toEqual({ 101: 1 });
    await one.query('commit');
    expect(await versions()).toEqual({ 101: 2, 102: 1 });
  });

  test('is looked up behind a bulk change of parents, which locks no user', async () => {
    await watch({ maxUsers: 1 });
    await one.query('begin; update shop.orders set customer_id = 110 where id <= 2; set constraints all immediate');
    await other.query('begin; insert into shop.items values (1, 5)');
    const committed = other.query('commit');
    await waitsForLock();
    await one.query('commit');
    await committed;
    expect(await versions()).toEqual({ 110: 1 });
  });

  test('fails under repeatable read behind a bulk change of parents, whose rows its snapshot does not have', async () => {
    await watch({ maxUsers: 1 });
    await other.query('begin isolation level repeatable read; insert into shop.items values (1, 5)');
    await sql('update shop.orders set customer_id = 110 where id <= 2');
    await expect(other.query('commit')).rejects.toMatchObject({ code: '40001' });
  });

  test('skips a row without a parent, which raises nothing', async () => {
    await sql('insert into shop.items values (null, 1)');
    expect(await versions()).toEqual({});
    expect(await query(database.pool, { text: 'select from tandem.source_versions where version > 0' })).toEqual([]);
    await sql('update shop.items set order_id = 3');
    expect(await versions()).toEqual({ 103: 1 });
  });

  test('raises the users of all statements of a transaction once, and none of a savepoint that is rolled back', async () => {
    await sql(`begin; insert into shop.items values (1, 1), (2, 1); insert into shop.items values (1, 2);
      update shop.orders set customer_id = 104 where id = 4;
      savepoint s; insert into shop.items values (5, 1); rollback to s; commit`);
    expect(await versions()).toEqual({ 101: 1, 102: 1 });
    expect(await query(database.pool, { text: 'select from tandem.source_changes' })).toEqual([]);
  });

  test.each([
    ['no foreign key', 'alter table shop.items drop constraint items_order_id_fkey'],
    [
      'a deferrable foreign key',
      'alter table shop.items alter constraint items_order_id_fkey deferrable initially deferred',
    ],
    [
      'a foreign key that is not valid',
      `alter table shop.items drop constraint items_order_id_fkey;
        alter table shop.items add constraint later foreign key (order_id) references shop.orders not valid`,
    ],
  ])('is rejected with %s', async (_what, change) => {
    await sql(`${change}; select tandem.settle_watch(id) from tandem.watched_sources`);
    const again = { table: 'shop.items', key: CUSTOMER, maxUsers: 9 };
    await expect(watch(again)).rejects.toMatchObject({
      code: 'config_invalid',
      message: 'The key may find no row in shop.orders: no foreign key guarantees it.',
    });
  });

  test('is rejected in a form that cannot be checked', async () => {
    await expect(watch({ table: 'shop.items', key: '(select max(id) from shop.customers)' })).rejects.toMatchObject({
      message: expect.stringContaining('in a form that Tandem cannot check'),
    });
  });

  test('may pass through several parents', async () => {
    await sql(`create table shop.parts (item int, order_id int references shop.orders)`);
    const nested = `(select c.id from shop.customers c where c.id = ${CUSTOMER})`;
    await expect(watch({ table: 'shop.parts', key: nested })).rejects.toMatchObject({
      message: 'The key looks up users in shop.customers, which is not watched by id for visits.',
    });
    await watch({ table: 'shop.customers', key: 'id' });
    await watch({ table: 'shop.parts', key: nested });
    await sql('insert into shop.parts values (1, 4)');
    expect(await versions()).toEqual({ 104: 1 });
  });
});

test('a lookup of a column that may be null, or by which the parent is not watched, is rejected', async () => {
  await watch({ key: 'id::bigint' });
  await expect(watchItems()).rejects.toMatchObject({
    message: 'The key looks up users in shop.orders, which is not watched by customer_id for visits.',
  });
  await sql('alter table shop.orders alter column customer_id drop not null');
  await expect(watchItems()).rejects.toMatchObject({
    message: expect.stringContaining('Column customer_id of shop.orders may be null'),
  });
});

test('a lookup in a table that is not watched is rejected', async () => {
  await expect(watchItems()).rejects.toMatchObject({
    message: 'The key looks up users in shop.orders, which is not watched by customer_id for visits.',
  });
});

test('transactions that change users in opposite orders do not deadlock', async () => {
  await watch();
  await watchItems();
  await one.query('begin; insert into shop.items values (1, 1)');
  await other.query('begin; insert into shop.items values (2, 1)');
  await one.query('insert into shop.items values (2, 1); update shop.orders set customer_id = 109 where id = 9');
  await other.query('insert into shop.items values (1, 1); update shop.orders set customer_id = 108 where id = 8');
  await Promise.all([one.query('commit'), other.query('commit')]);
  expect(await versions()).toEqual({ 101: 2, 102: 2 });
});

test('a change of an erased user that is open across a readmission raises the user', async () => {
  await watch();
  const erasures = createErasureStore(database.pool);
  await erasures.setTombstone('101');
  await one.query('begin; update shop.orders set customer_id = 102 where id = 1; set constraints all immediate');
  const readmitted = erasures.readmit('101');
  await waitsForLock();
  await one.query('commit');
  await readmitted;
  const before = (await versions())['101'] ?? 0;
  await erasures.setTombstone('101');
  await one.query('begin; update shop.orders set customer_id = 101 where id = 1');
  await erasures.readmit('101');
  await one.query('commit');
  expect((await versions())['101']).toBeGreaterThan(before + 2);
});

describe('a commit is durable', () => {
  const mode = async () =>
    (await one.query<{ mode: string }>(`select current_setting('synchronous_commit') as mode`)).rows[0];

  test.each(['', `set session_replication_role = replica;`])(
    'whatever the session sets after the change %s',
    async (role) => {
      await watch();
      for (const change of ['update shop.orders set customer_id = 102 where id = 1', 'truncate shop.orders cascade']) {
        await one.query(`${role} set synchronous_commit = off; begin; ${change}; set local synchronous_commit = off`);
        // Fires the deferred triggers, as the commit does.
        await one.query('set constraints all immediate');
        expect(await mode()).toEqual({ mode: 'on' });
        await one.query('commit');
        expect(await mode()).toEqual({ mode: 'off' });
      }
    },
  );
});

describe('a watched table that changes its form', () => {
  const faults = () => query(database.pool, { text: 'select reason, detail from tandem.watch_faults' });

  test('takes writes after its key column is renamed, keeps its faults, and is repaired by another watch', async () => {
    await watch();
    await sql('alter table shop.orders rename customer_id to buyer_id');
    await one.query('begin; update shop.orders set buyer_id = 102 where id = 1');
    await sql('update shop.orders set buyer_id = 103 where id = 2');
    await one.query('commit');
    await sql('update shop.orders set buyer_id = 103 where id = 3');
    const found = (await faults()) as { reason: string; detail: string }[];
    expect(found).toContainEqual({ reason: 'key', detail: 'column "customer_id" does not exist' });
    // Both open transactions may have noted it; later writes do not.
    expect(found.filter(({ reason }) => reason === 'key').length).toBeLessThanOrEqual(2);
    const turns = createTurns(database.pool);
    expect(await createExamineWatches({ pool: database.pool, features: database.pool }, turns)()).toBe(1);
    expect(await listWatchedSources(database.pool)).toMatchObject([
      { faults: expect.arrayContaining([expect.stringContaining('column "customer_id" does not exist')]) },
    ]);
    await sql('alter table shop.orders rename buyer_id to customer_id');
    await watch();
    expect(await faults()).toEqual([]);
    const rows = await query<{ version: number }>(database.pool, {
      text: `select version from tandem.source_versions where predictor = 'visits'`,
    });
    expect(rows[0]?.version).toBeGreaterThan(found.length);
  });

  test('with a virtual generated column: rejects it as key or watched column, and counts changes of the others', async () => {
    const [server] = await query<{ version: number }>(database.pool, {
      text: `select current_setting('server_version_num')::int as version`,
    });
    const added = sql(
      'alter table shop.orders add column doubled bigint generated always as (customer_id * 2) virtual',
    );
    if ((server?.version ?? 0) < 180_000) return expect(added).rejects.toThrow('syntax error');
    await added;
    await expect(watch({ key: 'doubled' })).rejects.toMatchObject({
      message: expect.stringContaining('is a virtual generated column'),
    });
    await expect(watch({ columns: ['doubled'] })).rejects.toMatchObject({
      message: expect.stringContaining('is a virtual generated column'),
    });
    await watch();
    await sql('update shop.orders set customer_id = 102 where id = 1');
    expect(await versions()).toEqual({ 101: 1, 102: 1 });
  });
});
