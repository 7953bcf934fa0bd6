/** Changes of the schema of watched tables, which change features without a change of a row. */
import pg from 'pg';
import { afterAll, beforeAll, beforeEach, describe, expect, inject, test } from 'vitest';
import { adopt } from '../adopt.ts';
import { query } from '../sql/database.ts';
import { createTestDatabase, type TestDatabase, visitsPredictor } from '../store.fixture.ts';
import { createExamineWatches } from './repair-watches.ts';
import { watchSource } from './watch-source.ts';
import { listWatchedSources } from './watched-sources.ts';

let database: TestDatabase;

beforeAll(async () => {
  database = await createTestDatabase(inject('databaseUrl'), inject('templateDatabase'));
});
afterAll(() => database?.drop());

/** Each turn is due. */
const AT_ONCE = { take: <T>(_name: string, _times: unknown, work: () => Promise<T>) => work() };

const sql = (text: string) => database.pool.query(text);

beforeEach(async () => {
  await sql('truncate tandem.watched_sources, tandem.watched_relations');
  await sql('drop schema if exists shop cascade');
  await sql('truncate tandem.watch_faults');
  await sql(`create schema shop;
    create table shop.visits (user_id bigint, day int, n int) partition by range (day);
    create table shop.visits_1 partition of shop.visits for values from (0) to (10);
    create table shop.visits_2 partition of shop.visits for values from (10) to (20);
    insert into shop.visits select u, u, 0 from generate_series(1, 15) u;
    create table shop.extra (user_id bigint primary key, m int);
    create function shop.doubled(n int) returns int immutable language sql as 'select 2 * n';
    create view shop.seen as select v.user_id, v.n, shop.doubled(v.n) as m from shop.visits v`);
  await adoptQuery('select s.user_id, s.n::float4 as visits, s.m::float4 as orders from shop.seen s');
  await watch();
  await sql('update tandem.source_versions set version = 0');
});

function adoptQuery(feature: string) {
  const predictor = visitsPredictor();
  const definition = { ...predictor.definition, query: { ...predictor.definition.query, sql: feature } };
  return adopt(database.pool, { predictors: [{ ...predictor, definition }], actor: 'test' });
}

const watch = () =>
  watchSource(database.pool, {
    ...{ table: 'shop.visits', key: 'user_id', columns: null, predictors: ['visits'], actor: 'test' },
  });

const faults = async () =>
  (await query<{ reason: string }>(database.pool, { text: 'select distinct reason from tandem.watch_faults' })).map(
    ({ reason }) => reason,
  );

async function sourceVersion(): Promise<number> {
  const rows = await query<{ version: number }>(database.pool, { text: 'select version from tandem.source_versions' });
  return rows[0]?.version ?? -1;
}

/** Compares and repairs as a worker does. Returns the number of watches with a fault. */
function examine(): Promise<number> {
  return createExamineWatches({ pool: database.pool, features: database.pool }, AT_ONCE)();
}

const HARMFUL = [
  ['detaches a partition', 'alter table shop.visits detach partition shop.visits_1'],
  ['drops a partition', 'drop table shop.visits_1'],
  [
    'attaches a partition with rows',
    `create table shop.visits_3 as select 99::bigint as user_id, 25 as day, 1 as n;
      alter table shop.visits attach partition shop.visits_3 for values from (20) to (30)`,
  ],
  ['changes the values of a column', 'alter table shop.visits alter column n type int using n + 1'],
  ['changes the type of a column', 'alter table shop.visits alter column n type bigint'],
  ['replaces a column', 'alter table shop.visits drop column n; alter table shop.visits add column n int default 7'],
  ['replaces a view', 'create or replace view shop.seen as select v.user_id, v.n, 7 as m from shop.visits v'],
  [
    'replaces a function',
    `create or replace function shop.doubled(n int) returns int immutable language sql as 'select 3 * n'`,
  ],
  [
    'disables a trigger',
    'alter table shop.visits_2 disable trigger user; alter table shop.visits_2 enable trigger user',
  ],
  ['drops a trigger', 'drop trigger tandem_watch_update on shop.visits_1'],
  [
    'drops a view and creates it again',
    'drop view if exists shop.seen; create view shop.seen as select v.user_id, v.n, 8 as m from shop.visits v',
  ],
  [
    'adds a child with rows',
    `create table shop.child (like shop.extra); alter table shop.visits_2 set (fillfactor = 90);
    create table shop.visits_3 as select 99::bigint as user_id, 25 as day, 1 as n;
    alter table shop.visits attach partition shop.visits_3 default`,
  ],
] as const;

describe.each([
  ['with event triggers', true],
  ['without event triggers, when a worker compares', false],
])('%s', (_how, hasEvents) => {
  beforeEach(async () => {
    const state = hasEvents ? 'enable always' : 'disable';
    for (const name of ['ddl', 'drop']) await sql(`alter event trigger tandem_${name} ${state}`);
    await watch();
    await examine();
    await sql('update tandem.source_versions set version = 0');
  });

  test.each(HARMFUL)('a change that %s makes everything stored stale, and is repaired', async (_what, change) => {
    if (change.includes(' column ')) {
      await sql('drop view shop.seen');
      await adoptQuery('select v.user_id, v.n::float4 as visits, v.n::float4 as orders from shop.visits v');
      await examine();
      await sql('update tandem.source_versions set version = 0');
    }
    await sql(change);
    if (hasEvents) expect(await faults()).not.toEqual([]);
    expect(await sourceVersion()).toBe(0);
    expect(await examine()).toBe(0);
    expect(await sourceVersion()).toBeGreaterThan(0);
    expect((await listWatchedSources(database.pool)).map(({ broken }) => broken)).toEqual([[]]);
    const before = await sourceVersion();
    await sql('update shop.visits set day = day where false; insert into shop.visits values (12, 12, 5)');
    expect(await examine()).toBe(0);
    expect(await sourceVersion()).toBe(before);
  });

  test.each([
    ['adds an empty partition', 'create table shop.visits_3 partition of shop.visits for values from (20) to (30)'],
    ['adds an index', 'create index on shop.visits (user_id)'],
    ['adds a column', 'alter table shop.visits add column more int default 5'],
    ['changes storage', 'alter table shop.visits_1 set (fillfactor = 50)'],
    ['changes another table', 'alter table shop.extra alter column m type bigint'],
    ['comments', `comment on table shop.visits is 'x'`],
  ])('a change that %s changes nothing', async (_what, change) => {
    await sql(change);
    expect(await faults()).toEqual([]);
    expect(await examine()).toBe(0);
    expect(await listWatchedSources(database.pool)).toMatchObject([{ faults: [] }]);
    if (hasEvents) expect(await sourceVersion()).toBe(0);
  });
});

test('a partition that is attached in a transaction is seen with its commit, and no writer waits for it', async () => {
  for (const name of ['ddl', 'drop']) await sql(`alter event trigger tandem_${name} enable always`);
  const client = new pg.Client({ connectionString: database.url });
  await client.connect();
  try {
    // A transaction that holds every row of our tables.
    await client.query(
      'begin; select from tandem.watched_sources for update; select from tandem.source_versions for update',
    );
    await sql('alter table shop.visits detach partition shop.visits_1');
    expect(await faults()).toEqual(['ddl']);
  } finally {
    await client.end();
  }
});

test('a worker lists watches of an earlier release, and ends faults of watches that it has removed', async () => {
  for (const name of ['ddl', 'drop']) await sql(`alter event trigger tandem_${name} enable always`);
  await sql(`delete from tandem.watched_relations; update tandem.watched_sources set versions = '{}'`);
  await examine();
  await sql('alter table shop.visits detach partition shop.visits_1');
  expect(await faults()).toEqual(['ddl']);
  expect(await examine()).toBe(0);
  // 0.2.0 removes the triggers of a watch before the watch.
  const [{ id } = { id: 0 }] = await listWatchedSources(database.pool);
  await sql(`drop function tandem.watch_${id}() cascade; delete from tandem.watched_sources`);
  expect(await faults()).toEqual(['triggers']);
  expect(await examine()).toBe(0);
  expect(await faults()).toEqual([]);
});
