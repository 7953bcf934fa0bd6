import { randomBytes } from 'node:crypto';
import { afterAll, beforeAll, beforeEach, describe, expect, inject, test } from 'vitest';
import { adopt } from '../adopt.ts';
import { createEventStore } from '../events/events.ts';
import { copyIn } from '../sql/copy.ts';
import { createPool, query, transaction, withClient } from '../sql/database.ts';
import { createTestDatabase, type TestDatabase, visitsPredictor } from '../store.fixture.ts';
import { createErasureStore } from '../users/erasures.ts';
import type { WatchRequest } from './watch-request.ts';
import { unwatchSource, watchSource } from './watch-source.ts';
import { listWatchedSources } from './watched-sources.ts';

let database: TestDatabase;
const role = `application_${randomBytes(4).toString('hex')}`;

beforeAll(async () => {
  database = await createTestDatabase(inject('databaseUrl'), inject('templateDatabase'));
  await adopt(database.pool, { predictors: [visitsPredictor(), visitsPredictor({ name: 'orders' })], actor: 'test' });
  await sql(`create role ${role} login password 'secret'`);
});
afterAll(async () => {
  await sql(`drop schema shop cascade; drop owned by ${role} cascade; drop role ${role}`);
  await database.drop();
});

const sql = (text: string) => database.pool.query(text);

beforeEach(async () => {
  await sql('truncate tandem.watched_sources, tandem.watched_relations, tandem.watch_faults');
  await sql(`drop schema if exists shop cascade; create schema shop;
    create table shop.customers (id bigint primary key, spent float8 not null default 0, note text, seen_at timestamptz);
    insert into shop.customers (id) select n from generate_series(1, 50) n;
    truncate tandem.user_contexts, tandem.outbox, tandem.erasures, tandem.watched_sources;
    update tandem.source_versions set version = 0`);
});

const watch = (changes: Partial<WatchRequest> = {}) =>
  watchSource(database.pool, {
    ...{ table: 'shop.customers', key: 'id', columns: null, predictors: ['visits'], actor: 'test' },
    ...changes,
  });

/** Returns the version of each user that has one. */
async function versions(): Promise<Record<string, number>> {
  const rows = await query<{ userId: string; version: number }>(database.pool, {
    text: `select user_id as "userId", version from tandem.user_contexts where version > 0 order by user_id`,
  });
  return Object.fromEntries(rows.map(({ userId, version }) => [userId, version]));
}

async function sourceVersion(predictor = 'visits'): Promise<number> {
  const rows = await query<{ version: number }>(database.pool, {
    text: 'select version from tandem.source_versions where predictor = $1',
    values: [predictor],
  });
  return rows[0]?.version ?? 0;
}

describe('a change of a watched row', () => {
  test('raises its user’s version in its own transaction, only for the predictors of the watch', async () => {
    await watch();
    await transaction(database.pool, async (db) => {
      await db.query('update shop.customers set spent = 5 where id in (7, 3)');
      expect(await versions()).toEqual({});
    });
    expect(await versions()).toEqual({ 3: 1, 7: 1 });
    await sql('update shop.customers set spent = 6 where id = 7');
    const [row] = await query<{ touched: object }>(database.pool, {
      text: `select touched from tandem.user_contexts where user_id = '7'`,
    });
    expect(row?.touched).toEqual({ visits: 2 });
    const outbox = await query<{ user: string; version: number }>(database.pool, {
      text: 'select user_id as user, context_version as version from tandem.outbox order by seq',
    });
    expect(outbox).toEqual([
      { user: '3', version: 1 },
      { user: '7', version: 1 },
      { user: '7', version: 2 },
    ]);
  });

  test('is detected in every form: insert, delete, upsert, merge, COPY, a cascade of a foreign key', async () => {
    await sql(
      `create table shop.orders (id int primary key, customer_id bigint references shop.customers on delete cascade on update cascade)`,
    );
    await watch();
    await watch({ table: 'shop.orders', key: 'customer_id' });
    await sql('insert into shop.customers (id) values (60)');
    await sql('insert into shop.customers (id) values (60), (61) on conflict (id) do update set spent = 1');
    await sql(`merge into shop.customers c using (values (61), (62)) v(id) on c.id = v.id
      when matched then update set spent = 2 when not matched then insert (id) values (v.id)`);
    expect(await versions()).toEqual({ 60: 2, 61: 2, 62: 1 });
    await sql('insert into shop.orders values (1, 60), (2, 61)');
    await sql('delete from shop.customers where id = 60');
    // The customer's row is deleted, and the order's row by the cascade: one transaction, one version.
    expect(await versions()).toEqual({ 60: 4, 61: 3, 62: 1 });
    await sql('update shop.customers set id = 63 where id = 61');
    expect(await versions()).toEqual({ 60: 4, 61: 4, 62: 1, 63: 1 });
    await withClient(database.pool, (client) =>
      copyIn(client, { text: 'copy shop.customers (id) from stdin', timeoutMs: 10_000 }, Buffer.from('70\n71\n')),
    );
    expect(await versions()).toMatchObject({ 70: 1, 71: 1 });
  });

  test('counts only if the row then differs in a watched column', async () => {
    await watch({ columns: ['spent', 'note'] });
    await sql('update shop.customers set spent = spent');
    await sql(`update shop.customers set seen_at = now() where id = 1`);
    await sql('update shop.customers set spent = 1 where false');
    expect(await versions()).toEqual({});
    await sql('update shop.customers set spent = id - 40');
    expect(Object.keys(await versions())).toHaveLength(49);
    expect(await versions()).not.toHaveProperty('40');
    await sql(`update shop.customers set note = 'x' where id = 40`);
    expect(await versions()).toMatchObject({ 40: 1 });
  });

  test('is detected whatever the settings of the session', async () => {
    await watch();
    await sql('update shop.customers set spent = 0.1 where id = 1');
    const pool = createPool({ url: database.url, max: 1, applicationName: 'odd-session' });
    await pool.query(`set extra_float_digits = -15; set search_path = shop; set datestyle = 'SQL, DMY'`);
    await pool.query('update customers set spent = 0.1000000001 where id = 1');
    await pool.end();
    expect(await versions()).toEqual({ 1: 2 });
  });

  test('is mapped to its user by the key as written, whatever the session’s settings for literals and plans', async () => {
    await watch({ key: String.raw`replace(id::text, '\', '')::bigint` });
    const pool = createPool({ url: database.url, max: 1, applicationName: 'odd-session' });
    await pool.query(`set standard_conforming_strings = off; set enable_indexscan = off; set enable_nestloop = off`);
    await pool.query('update shop.customers set spent = 1 where id in (2, 1)');
    await pool.end();
    expect(await versions()).toEqual({ 1: 1, 2: 1 });
  });

  test('leaves an erased user erased', async () => {
    await watch();
    await createErasureStore(database.pool).setTombstone('5');
    await sql('update shop.customers set spent = 9 where id in (4, 5)');
    const rows = await query(database.pool, {
      text: `select user_id, version, deleted_version from tandem.user_contexts order by 1`,
    });
    expect(rows).toMatchObject([
      { user_id: '4', version: 1, deleted_version: 0 },
      { user_id: '5', version: 1, deleted_version: 1 },
    ]);
  });

  test('works for an application without any right in the schema tandem', async () => {
    await watch();
    await sql(`grant usage on schema shop to ${role}; grant select, update on shop.customers to ${role}`);
    const url = new URL(database.url);
    Object.assign(url, { username: role, password: 'secret' });
    const pool = createPool({ url: url.href, max: 1, applicationName: 'application' });
    await pool.query('update shop.customers set spent = 3 where id = 9');
    await expect(pool.query('select tandem.source_changed(1, null)')).rejects.toThrow('permission denied');
    await pool.end();
    expect(await versions()).toEqual({ 9: 1 });
  });

  test('in an open transaction delays no event', async () => {
    await watch();
    const store = createEventStore(database.pool, { lockTimeoutMs: 300 });
    const event = (userId: string) => ({ source: 't', id: userId, type: 'x', userId, time: null, data: null });
    await transaction(database.pool, async (db) => {
      await db.query('update shop.customers set spent = 5 where id = 7');
      expect(await store.accept([event('8')])).toMatchObject([{ status: 'accepted' }]);
      expect(await store.accept([event('7')])).toMatchObject([{ status: 'accepted' }]);
    });
    expect(await versions()).toEqual({ 7: 2, 8: 1 });
  });

  test('of the same users in opposite orders does not deadlock', async () => {
    await watch();
    const update = (order: string) =>
      sql(`with picked as (select id from shop.customers order by id ${order} limit 40 for update skip locked)
        update shop.customers c set spent = spent + 1 from picked p where p.id = c.id`);
    await Promise.all(Array.from({ length: 40 }, (_, i) => update(i % 2 ? 'asc' : 'desc')));
    const changes = await query<{ spent: number }>(database.pool, {
      text: 'select sum(spent) as spent from shop.customers',
    });
    const raised = Object.values(await versions()).reduce((sum, one) => sum + one, 0);
    expect(raised).toBe(changes[0]?.spent);
  });

  test('is detected for any types: those without a binary form are compared as text', async () => {
    await sql(`create type shop.mood as enum ('good', 'bad');
      create table shop.odd (id bigint primary key, mood shop.mood, rights aclitem[], doc json);
      insert into shop.odd values (1, 'good', '{}', '{"a": 1}'), (2, 'good', '{}', '{"a": 1}')`);
    await watch({ table: 'shop.odd' });
    await sql(`update shop.odd set doc = '{"a": 1}', mood = 'good'`);
    expect(await versions()).toEqual({});
    await sql(`update shop.odd set mood = 'bad' where id = 1; update shop.odd set doc = '{"a": 2}' where id = 2`);
    expect(await versions()).toEqual({ 1: 1, 2: 1 });
  });

  test('concurrent with events of the same users does not deadlock, whether the users are known or not', async () => {
    await watch();
    const store = createEventStore(database.pool, { lockTimeoutMs: 20_000 });
    const ids = (round: number) => Array.from({ length: 20 }, (_, i) => String(1 + ((round * 7 + i * 3) % 50)));
    const event = (round: number) => (userId: string, i: number) => ({
      ...{ source: 't', id: `${round}-${i}`, type: 'x', userId, time: null, data: null },
    });
    const rounds = Array.from({ length: 24 }, (_, round) => round);
    await Promise.all(
      rounds.flatMap((round) => [
        store.accept(ids(round).map(event(round))),
        sql(`with picked as (select id from shop.customers where id = any ('{${ids(round + 3)}}') order by id for update)
          update shop.customers c set spent = spent + 1 from picked p where p.id = c.id`),
      ]),
    );
    const raised = Object.values(await versions()).reduce((sum, one) => sum + one, 0);
    expect(raised).toBe(rounds.length * 40);
  });

  test('of more than a thousand users adds nothing to the outbox, which only saves work', async () => {
    await watch();
    await sql('insert into shop.customers (id) select n from generate_series(1000, 2200) n');
    expect(Object.keys(await versions())).toHaveLength(1201);
    expect(await query(database.pool, { text: 'select from tandem.outbox' })).toEqual([]);
  });

  test('is detected if triggers are off for replication, and in repeatable read', async () => {
    await watch();
    await sql(
      `begin; set local session_replication_role = replica; update shop.customers set spent = 4 where id = 2; commit`,
    );
    await sql(`begin isolation level repeatable read; update shop.customers set spent = 4 where id = 3; commit`);
    expect(await versions()).toEqual({ 2: 1, 3: 1 });
  });
});

describe('a change in bulk', () => {
  test('of very many users raises the source version instead', async () => {
    await watch({ maxUsers: 10, predictors: ['visits', 'orders'] });
    await sql('update shop.customers set spent = 1 where id <= 10');
    expect([Object.keys(await versions()).length, await sourceVersion()]).toEqual([10, 0]);
    await sql('update shop.customers set spent = 2 where id <= 11');
    expect([Object.keys(await versions()).length, await sourceVersion(), await sourceVersion('orders')]).toEqual([
      10, 1, 1,
    ]);
    await sql('truncate shop.customers');
    expect(await sourceVersion()).toBe(2);
  });

  test('is every actual change of a table whose rows belong to all users', async () => {
    await sql(
      'create table shop.prices (product int primary key, price float8); insert into shop.prices values (1, 2), (2, 3)',
    );
    await watch({ table: 'shop.prices', key: null });
    await sql('update shop.prices set price = price');
    await sql('delete from shop.prices where product = 9');
    expect(await sourceVersion()).toBe(0);
    await sql('update shop.prices set price = price + 1 where product = 1');
    await sql('insert into shop.prices values (3, 4)');
    await sql('delete from shop.prices where product = 3');
    expect(await sourceVersion()).toBe(3);
    expect(await versions()).toEqual({});
  });
});

describe('the key', () => {
  test('may come from a parent row, which is watched too', async () => {
    await sql(`create table shop.orders (id int primary key, customer_id bigint not null); insert into shop.orders values (1, 7), (2, 8);
      create table shop.items (order_id int references shop.orders, amount float8)`);
    await watch({ table: 'shop.orders', key: 'customer_id' });
    await watch({
      table: 'shop.items',
      key: '(select o.customer_id from shop.orders o where o.id = changed.order_id) -- its order',
    });
    await sql('insert into shop.items values (1, 5), (2, 6), (null, 7)');
    expect(await versions()).toEqual({ 7: 1, 8: 1 });
    await sql('update shop.items set order_id = 2 where order_id = 1');
    expect(await versions()).toEqual({ 7: 2, 8: 2 });
  });

  test('that names no column is rejected with a hint on tables whose rows belong to all users', async () => {
    await expect(watch({ key: 'nothing' })).rejects.toMatchObject({
      remedy: expect.stringMatching(/if a row belongs to all users, set everyone instead of a key$/),
    });
  });

  test('that is null skips the row, and an error of the key fails the statement', async () => {
    await sql('create table shop.notes (customer_id bigint, divisor int)');
    await watch({ table: 'shop.notes', key: 'customer_id / divisor' });
    await sql('insert into shop.notes values (null, 1), (7, 1), (8, null)');
    expect(await versions()).toEqual({ 7: 1 });
    await expect(sql('insert into shop.notes values (9, 1), (9, 0)')).rejects.toMatchObject({ code: '22012' });
    expect(await versions()).toEqual({ 7: 1 });
  });

  test.each([
    ['nothing', 'Postgres rejects the key expression nothing'],
    ['note', 'The key expression note gives text, but user ids are of type int8'],
    ['id), (spent', 'gives more than one column'],
    ['(select id from customers limit 1)', 'relation "customers" does not exist'],
  ])('that is %s is rejected with the expected form', async (key, message) => {
    await expect(watch({ key })).rejects.toMatchObject({
      code: 'config_invalid',
      message: expect.stringContaining(message),
      remedy: expect.stringMatching(/use a column|cast it to bigint/),
    });
    expect(await listWatchedSources(database.pool)).toEqual([]);
  });
});

describe('a partitioned table', () => {
  beforeEach(async () => {
    await sql(`create table shop.visits (user_id bigint, day int, n int) partition by range (day);
      create table shop.visits_1 partition of shop.visits for values from (0) to (10);
      create table shop.visits_2 partition of shop.visits for values from (10) to (20);
      insert into shop.visits select u, u, 0 from generate_series(1, 15) u`);
  });

  test('is watched with its partitions, whichever table a statement names', async () => {
    await watch({ table: 'shop.visits', key: 'user_id' });
    await sql('update shop.visits set n = 1 where user_id = 3');
    await sql('update shop.visits_2 set n = 1 where user_id = 12');
    expect(await versions()).toEqual({ 12: 1, 3: 1 });
    await sql('update shop.visits set day = 15, user_id = 4 where user_id = 3');
    expect(await versions()).toEqual({ 12: 1, 3: 2, 4: 1 });
    await sql('truncate shop.visits_1');
    expect(await sourceVersion()).toBe(1);
  });

  test('counts as incompletely watched when a partition lacks a trigger, until it is watched again', async () => {
    await watch({ table: 'shop.visits', key: 'user_id' });
    await sql('drop trigger tandem_watch_update on shop.visits_2');
    const [before] = await listWatchedSources(database.pool);
    expect(before?.broken).toEqual(['shop.visits_2: tandem_watch_update']);
    await watch({ table: 'shop.visits', key: 'user_id' });
    expect((await listWatchedSources(database.pool)).map(({ name, broken }) => [name, broken])).toEqual([
      ['shop.visits', []],
    ]);
  });

  test('cannot be watched if a crash empties it', async () => {
    await sql('create unlogged table shop.drafts (user_id bigint)');
    await expect(watch({ table: 'shop.drafts', key: 'user_id' })).rejects.toMatchObject({
      message: 'shop.drafts is temporary or unlogged: a crash empties it, and no trigger fires.',
    });
  });

  test('must be watched instead of its partition', async () => {
    await expect(watch({ table: 'shop.visits_1', key: 'user_id' })).rejects.toMatchObject({
      message:
        'shop.visits_1 is part of shop.visits, and a statement on shop.visits fires no trigger of shop.visits_1.',
      remedy: 'watch shop.visits',
    });
  });
});

describe('what cannot be watched', () => {
  test('is rejected with the table to watch instead', async () => {
    await sql(`create view shop.inner_view as select id from shop.customers; create view shop.seen as select id from shop.inner_view;
      create materialized view shop.kept as select id from shop.customers`);
    await expect(watch({ table: 'shop.seen' })).rejects.toMatchObject({
      message: 'shop.seen is a view: its rows change in the tables that it reads.',
      remedy: 'watch the tables that it reads: shop.customers',
    });
    await expect(watch({ table: 'shop.kept' })).rejects.toMatchObject({
      remedy: expect.stringContaining('tandem run start'),
    });
    await expect(watch({ table: 'shop.nothing' })).rejects.toMatchObject({
      message: 'There is no table shop.nothing.',
    });
    await expect(watch({ table: 'tandem.events', key: 'user_id' })).rejects.toMatchObject({
      message: 'tandem.events is not a table of the application.',
    });
    await expect(watch({ columns: ['gone'] })).rejects.toMatchObject({ field: 'columns' });
    await expect(watch({ predictors: ['unknown'] })).rejects.toMatchObject({
      message: 'There is no predictor unknown.',
    });
  });

  test('for lack of rights is rejected with the grant', async () => {
    const url = new URL(database.url);
    Object.assign(url, { username: role, password: 'secret' });
    const pool = createPool({ url: url.href, max: 2, applicationName: 'no-owner' });
    await sql(`grant usage on schema tandem to ${role}; grant select, insert, update on all tables in schema tandem to ${role};
      grant usage on schema shop to ${role}`);
    const request = { table: 'shop.customers', key: 'id', columns: null, predictors: ['visits'], actor: 'test' };
    await expect(watchSource(pool, request)).rejects.toMatchObject({
      message: `User ${role} may not create functions in the schema tandem.`,
      remedy: expect.stringContaining('grant trigger on shop.customers to'),
    });
    await pool.end();
  });
});

describe('a watch', () => {
  test('that is repeated adds predictors; an ended watch leaves nothing behind', async () => {
    const first = await watch();
    expect(await watch({ predictors: ['orders'], columns: ['spent'] })).toMatchObject({
      id: first.id,
      predictors: ['orders', 'visits'],
    });
    await sql('update shop.customers set spent = 1 where id = 1');
    const rows = await query<{ touched: object }>(database.pool, { text: 'select touched from tandem.user_contexts' });
    expect(rows).toEqual([{ touched: { orders: 1, visits: 1 } }]);
    expect(await unwatchSource(database.pool, 'shop.customers', 'test')).toEqual(['shop.customers']);
    await sql('update shop.customers set spent = 2 where id = 1');
    expect(await versions()).toEqual({ 1: 1 });
    expect(await listWatchedSources(database.pool)).toEqual([]);
    const left = await query(database.pool, { text: `select from pg_proc where proname = 'watch_${first.id}'` });
    expect(left).toEqual([]);
    expect(await unwatchSource(database.pool, 'shop.customers', 'test')).toEqual([]);
  });

  test('that is repeated without a change takes no lock; a table has one key for all predictors', async () => {
    const first = await watch();
    await transaction(database.pool, async (db) => {
      await db.query('update shop.customers set spent = 5 where id = 7');
      expect(await watch()).toMatchObject({ id: first.id });
    });
    await expect(watch({ key: 'id + 0', predictors: ['orders'] })).rejects.toMatchObject({
      message: 'shop.customers is watched by id for predictor visits, but a table can have only one key.',
    });
    expect(await watch({ key: 'id + 0', predictors: ['visits'] })).toMatchObject({ id: first.id, key: 'id + 0' });
  });

  test('whose trigger is disabled, or whose table is gone, is listed as broken', async () => {
    await watch();
    await sql('alter table shop.customers disable trigger tandem_watch_update');
    expect((await listWatchedSources(database.pool))[0]?.broken).toEqual(['shop.customers: tandem_watch_update']);
    await watch();
    expect((await listWatchedSources(database.pool))[0]?.broken).toEqual([]);
    await sql('drop table shop.customers');
    expect((await listWatchedSources(database.pool))[0]?.broken).toEqual(['shop.customers']);
    expect(await unwatchSource(database.pool, 'shop.customers', 'test')).toEqual(['shop.customers']);
  });

  test('does not wait long for a transaction that has written to the table', async () => {
    await transaction(database.pool, async (db) => {
      await db.query('update shop.customers set spent = 5 where id = 7');
      await expect(watch()).rejects.toMatchObject({
        code: 'unavailable',
        message: expect.stringContaining('shop.customers'),
      });
    });
  });
});
