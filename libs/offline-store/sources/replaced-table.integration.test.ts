/** Watches of tables that are replaced by another table with the same name, as some loads do, on real Postgres. */
import { randomBytes } from 'node:crypto';
import { afterAll, beforeAll, beforeEach, expect, inject, test } from 'vitest';
import { adopt } from '../adopt.ts';
import { query, transaction } from '../sql/database.ts';
import { createTestDatabase, type TestDatabase, visitsPredictor } from '../store.fixture.ts';
import { unwatchSource, watchSource } from './watch-source.ts';
import { countMissingWatches, listWatchedSources } from './watched-sources.ts';

let database: TestDatabase;
beforeAll(async () => {
  database = await createTestDatabase(inject('databaseUrl'), inject('templateDatabase'));
});
afterAll(() => database.drop());

const sql = (text: string) => database.pool.query(text);
const declared = { table: 'shop.customers', key: 'id', columns: null };
const watch = () => watchSource(database.pool, { ...declared, predictors: ['visits'], actor: 'test' });
const unwatch = (table: string) => unwatchSource(database.pool, table, 'test');
const missing = () => countMissingWatches(database.pool);

beforeEach(async () => {
  const served = visitsPredictor();
  const predictor = { ...served, policy: { ...served.policy, watch: [declared] } };
  await adopt(database.pool, { predictors: [predictor], actor: 'test' });
  await sql('truncate tandem.user_contexts, tandem.watched_sources, tandem.watched_relations, tandem.watch_faults');
  await sql(`drop schema if exists shop cascade; create schema shop;
    create table shop.customers (id bigint primary key, spent float8 not null default 0);
    insert into shop.customers (id) select n from generate_series(1, 50) n`);
});

const swap = () =>
  sql(`create table shop.customers_new (like shop.customers including all);
    insert into shop.customers_new select * from shop.customers;
    begin; alter table shop.customers rename to customers_old;
    alter table shop.customers_new rename to customers; commit`);

async function watches(): Promise<readonly string[]> {
  return (await listWatchedSources(database.pool)).map(
    ({ name, broken }) => `${name}${broken.length > 0 ? ': broken' : ''}`,
  );
}

test('a table that took the name of a watched table counts as unwatched until it is watched, whatever happens to the old table', async () => {
  expect(await missing()).toEqual([{ predictor: 'visits', tables: 1 }]);
  await watch();
  expect(await missing()).toEqual([]);
  await swap();
  expect(await missing()).toEqual([{ predictor: 'visits', tables: 1 }]);
  await watch();
  expect(await missing()).toEqual([]);
  expect(await watches()).toEqual(['shop.customers', 'shop.customers_old']);
  await sql('drop table shop.customers_old');
  expect(await watches()).toEqual(['shop.customers', 'shop.customers_old: broken']);
  expect(await unwatch('shop.customers_old')).toEqual(['shop.customers_old']);
  await sql('update shop.customers set spent = 1 where id = 7');
  const rows = await query<{ user: string }>(database.pool, {
    text: 'select user_id as user from tandem.user_contexts',
  });
  expect(rows).toEqual([{ user: '7' }]);
});

test('unwatch ends the watch of the table with the name, and keeps that of the renamed table', async () => {
  await watch();
  await swap();
  expect(await unwatch('shop.customers')).toEqual([]);
  await watch();
  expect(await unwatch('shop.customers')).toEqual(['shop.customers']);
  expect(await watches()).toEqual(['shop.customers_old']);
  const triggers = await query(database.pool, {
    text: `select from pg_trigger where tgrelid = 'shop.customers'::regclass and tgname like 'tandem%'`,
  });
  expect(triggers).toEqual([]);
});

test('a table that was dropped and created again takes over the watch of its name', async () => {
  const { id } = await watch();
  await sql('drop table shop.customers; create table shop.customers (id bigint primary key, spent float8)');
  expect(await missing()).toEqual([{ predictor: 'visits', tables: 1 }]);
  expect(await watch()).toMatchObject({ id });
  expect(await watches()).toEqual(['shop.customers']);
  expect(await missing()).toEqual([]);
});

test('records of an earlier release under the name of a watched table are removed by the next watch or unwatch', async () => {
  const leave = () =>
    sql(
      `insert into tandem.watched_sources (name, key, predictors, max_users) values ('shop.customers', 'id', '{visits}', 10000)`,
    );
  await watch();
  await leave();
  expect(await watches()).toEqual(['shop.customers', 'shop.customers: broken']);
  await watch();
  expect(await watches()).toEqual(['shop.customers']);
  await leave();
  expect(await unwatch('shop.customers')).toEqual(['shop.customers']);
  expect(await watches()).toEqual([]);
});

test('a login without rights on the table’s schema gets the same counts', async () => {
  const role = `worker_${randomBytes(4).toString('hex')}`;
  await sql(`create role ${role}; grant usage on schema tandem to ${role};
    grant select on tandem.predictors, tandem.watched_sources, tandem.watched_relations, tandem.watch_faults to ${role}`);
  const seen = () =>
    transaction(database.pool, async (db) => {
      await db.query(`set local role ${role}`);
      return countMissingWatches(db);
    });
  expect(await seen()).toEqual([{ predictor: 'visits', tables: 1 }]);
  await watch();
  expect(await seen()).toEqual([]);
  await sql(`drop owned by ${role}; drop role ${role}`);
});

test('a watched table that lacks a trigger counts as unwatched', async () => {
  await watch();
  await sql('alter table shop.customers disable trigger tandem_watch_update');
  expect(await missing()).toEqual([{ predictor: 'visits', tables: 1 }]);
});
