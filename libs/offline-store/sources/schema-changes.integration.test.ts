/** Changes of the schema beside other sessions, other roles and repairs. */
import { randomBytes } from 'node:crypto';
import pg from 'pg';
import { afterAll, beforeAll, beforeEach, describe, expect, inject, test } from 'vitest';
import { adopt } from '../adopt.ts';
import { query } from '../sql/database.ts';
import { migrate } from '../sql/migrate.ts';
import { createTestDatabase, type TestDatabase, visitsPredictor } from '../store.fixture.ts';
import { createExamineWatches } from './repair-watches.ts';
import type { WatchRequest } from './watch-request.ts';
import { watchSource } from './watch-source.ts';
import { countFaultedWatches, detectsSchemaChanges, listWatchedSources } from './watched-sources.ts';

let database: TestDatabase;
let other: pg.Client;
const owner = `owner_${randomBytes(4).toString('hex')}`;

beforeAll(async () => {
  database = await createTestDatabase(inject('databaseUrl'), inject('templateDatabase'));
  await sql(`create role ${owner}`);
});
afterAll(async () => {
  await sql(`drop owned by ${owner} cascade; drop role ${owner}`);
  await database.drop();
});

const sql = (text: string) => database.pool.query(text);

beforeEach(async () => {
  await sql(`truncate tandem.watched_sources, tandem.watched_relations, tandem.user_contexts`);
  await sql('drop schema if exists shop cascade');
  await sql('truncate tandem.watch_faults');
  await sql(`create schema shop;
    create table shop.visits (user_id bigint, day int, n int) partition by range (day);
    create table shop.visits_1 partition of shop.visits for values from (0) to (10);
    create table shop.visits_2 partition of shop.visits for values from (10) to (20);
    insert into shop.visits select u, u, 0 from generate_series(1, 15) u;
    create function shop.twice(n int) returns int immutable language sql as 'select 2 * n';
    create view shop.seen as select v.user_id, v.n, shop.twice(v.n) as m from shop.visits v`);
  await adoptQuery('shop.seen');
  await watch();
  await sql('update tandem.source_versions set version = 0');
  await withEventTriggers(true);
  other = new pg.Client({ connectionString: database.url, statement_timeout: 5_000 });
  await other.connect();
  return () => other.end();
});

function adoptQuery(relation: string) {
  const predictor = visitsPredictor();
  const feature = `select s.user_id, s.n::float4 as visits, s.m::float4 as orders from ${relation} s`;
  const definition = { ...predictor.definition, query: { ...predictor.definition.query, sql: feature } };
  return adopt(database.pool, { predictors: [{ ...predictor, definition }], actor: 'test' });
}

async function withEventTriggers(are: boolean): Promise<void> {
  for (const name of ['ddl', 'drop'])
    await sql(`alter event trigger tandem_${name} ${are ? 'enable always' : 'disable'}`);
}

const watch = (changes: Partial<WatchRequest> = {}) =>
  watchSource(database.pool, {
    ...{ table: 'shop.visits', key: 'user_id', columns: null, predictors: ['visits'], actor: 'test' },
    ...changes,
  });

const faults = async () => (await countFaultedWatches(database.pool)).map(({ reason }) => reason).sort();

async function sourceVersion(): Promise<number> {
  const rows = await query<{ version: number }>(database.pool, {
    text: `select version from tandem.source_versions where predictor = 'visits'`,
  });
  return rows[0]?.version ?? -1;
}

/** Compares and repairs as a worker does. Returns the number of watches with a fault. */
function examine(): Promise<number> {
  return createWorker()();
}

/** Returns the rounds of one worker. */
function createWorker(): () => Promise<number> {
  const turns = { take: <T>(_name: string, _times: unknown, work: () => Promise<T>) => work() };
  return createExamineWatches({ pool: database.pool, features: database.pool }, turns);
}

/** Returns the state of each trigger of the watch, one letter for each. */
async function triggers(table: string): Promise<string> {
  const [row] = await query<{ states: string }>(database.pool, {
    text: `select coalesce(string_agg(tgenabled::text, ''), '') as states from pg_trigger
      where tgrelid = $1::text::regclass and tgname like 'tandem%'`,
    values: [table],
  });
  return row?.states ?? '';
}

describe('a change of the schema', () => {
  test.each([
    ['of an unrelated table', 'create table shop.unrelated (n int); drop table shop.unrelated'],
    ['of another partition', 'alter table shop.visits_2 set (fillfactor = 80)'],
  ])('%s waits for no lock on watched relations', async (_which, change) => {
    await other.query(
      'begin; lock table shop.visits_1 in access exclusive mode; alter view shop.seen set (security_barrier = true)',
    );
    await sql(`set lock_timeout = '500ms'; ${change}; reset lock_timeout`);
    expect(await faults()).toEqual([]);
  });

  test('whose lock is held while a view is parsed for a repair leaves the fault to the next round', async () => {
    const round = createWorker();
    await sql('alter table shop.visits detach partition shop.visits_1');
    await other.query('begin; create or replace view shop.seen as select v.user_id, v.n, 7 as m from shop.visits v');
    expect(await round()).toBe(1);
    await other.query('commit');
    expect(await round()).toBe(0);
    await sql('create or replace view shop.seen as select v.user_id, v.n, 8 as m from shop.visits v');
    expect(await faults()).toEqual(['ddl']);
  });

  test('does not wait for writers of a partition that could not be watched before', async () => {
    await withEventTriggers(false);
    await sql('create table shop.visits_3 partition of shop.visits for values from (20) to (30)');
    await withEventTriggers(true);
    await other.query('begin; insert into shop.visits values (3, 25, 1)');
    const writer = await database.pool.connect();
    await writer.query('set statement_timeout = 2000');
    await writer.query('alter table shop.visits_2 set (fillfactor = 80)').finally(() => writer.release(true));
    expect(await faults()).toEqual(['ddl']);
  });

  test('succeeds while sessions hold the rows of watches and faults', async () => {
    await other.query(`begin; select from tandem.watched_sources for update; select from tandem.watched_relations for update;
      select from tandem.source_versions for update`);
    await sql('alter table shop.visits detach partition shop.visits_1');
    expect(await faults()).toEqual(['ddl']);
  });

  test('that undoes an earlier one, and commits after the repair of that one, is a fault', async () => {
    await sql(`create or replace function shop.twice(n int) returns int immutable language sql as 'select 3 * n'`);
    await other.query(
      `begin; create or replace function shop.twice(n int) returns int immutable language sql as 'select 2 * n'`,
    );
    expect([await examine(), await faults()]).toEqual([0, []]);
    await other.query('commit');
    expect(await faults()).toEqual(['ddl']);
  });

  test('in a transaction with an older snapshot is a fault', async () => {
    await other.query(
      'begin isolation level repeatable read; select 1; alter table shop.visits_1 set (fillfactor = 80); commit',
    );
    expect(await faults()).toEqual(['ddl']);
  });

  test('that is rolled back is none', async () => {
    await other.query('begin; alter table shop.visits detach partition shop.visits_1; rollback');
    expect(await faults()).toEqual([]);
  });

  test('succeeds if the list cannot be read, and every watch then has a fault', async () => {
    await sql('alter table tandem.watched_relations rename to hidden');
    try {
      await sql('create table shop.unrelated (n int)');
    } finally {
      await withEventTriggers(false);
      await sql('alter table tandem.hidden rename to watched_relations');
    }
    expect(await faults()).toEqual(['ddl']);
  });
});

test('a new partition is watched at once, and its first rows are no fault of a later change', async () => {
  await sql(`create table shop.visits_3 partition of shop.visits for values from (20) to (30);
    insert into shop.visits values (7, 25, 1)`);
  await sql('create table shop.visits_4 partition of shop.visits for values from (30) to (40)');
  expect([await triggers('shop.visits_3'), await triggers('shop.visits_4')]).toEqual(['AAAA', 'AAAA']);
  await sql(
    'create table shop.child (user_id bigint, day int, n int); alter table shop.visits attach partition shop.child default',
  );
  expect(await triggers('shop.child')).toBe('AAAA');
  expect([await faults(), await examine(), await sourceVersion()]).toEqual([[], 0, 0]);
});

test('a role without rights in the schema tandem changes its tables, and its partitions are watched', async () => {
  await sql(`grant usage, create on schema shop to ${owner};
    alter table shop.visits owner to ${owner}; alter table shop.visits_1 owner to ${owner}; alter table shop.visits_2 owner to ${owner}`);
  await other.query(`set role ${owner}`);
  await other.query('create table shop.visits_3 partition of shop.visits for values from (20) to (30)');
  expect([await triggers('shop.visits_3'), await faults()]).toEqual(['AAAA', []]);
  await other.query('drop table shop.visits_1');
  expect(await faults()).toEqual(['ddl']);
});

test('partitions that are detached concurrently are a fault', async () => {
  await sql('alter table shop.visits detach partition shop.visits_1 concurrently');
  expect(await faults()).toEqual(['ddl']);
});

test.each(['alter table shop.visits rename to visits_old', 'alter table shop.visits set schema public'])(
  'a watch follows the name of its table: %s',
  async (rename) => {
    await sql(rename);
    expect(await faults()).toEqual(['ddl']);
    expect(await examine()).toBe(1);
    await sql('create table shop.visits (user_id bigint, day int, n int)');
    expect(await examine()).toBe(0);
    expect(await sourceVersion()).toBeGreaterThan(0);
    await sql('insert into shop.visits values (5, 1, 1)');
    const rows = await query(database.pool, { text: 'select user_id from tandem.user_contexts' });
    expect(rows).toEqual([{ user_id: '5' }]);
    await sql('create or replace view shop.seen as select v.user_id, v.n, 7 as m from shop.visits v');
    expect(await examine()).toBe(0);
    await sql('drop table if exists shop.visits_old, public.visits');
    expect([await faults(), await examine()]).toEqual([[], 0]);
  },
);

test('a view that was dropped and created again is known after the repair', async () => {
  await sql('drop view shop.seen; create view shop.seen as select v.user_id, v.n, 8 as m from shop.visits v');
  expect(await examine()).toBe(0);
  await sql('create or replace view shop.seen as select v.user_id, v.n, 9 as m from shop.visits v');
  expect(await faults()).toEqual(['ddl']);
});

test('the queries of later model versions are known after the next comparison, which is no change', async () => {
  await sql('create view shop.later as select v.user_id, v.n, 8 as m from shop.visits v');
  await adoptQuery('shop.later');
  expect(await examine()).toBe(0);
  expect(await sourceVersion()).toBe(0);
  await sql('create or replace view shop.later as select v.user_id, v.n, 9 as m from shop.visits v');
  expect(await faults()).toEqual(['ddl']);
});

describe('triggers that were disabled and enabled again', () => {
  beforeEach(() => withEventTriggers(false));
  const turnOffAndOn = () =>
    sql('alter table shop.visits_1 disable trigger user; alter table shop.visits_1 enable trigger user');

  test('are listed as broken; the next watch restores ALWAYS, and the gap counts as a bulk change', async () => {
    await turnOffAndOn();
    expect((await listWatchedSources(database.pool))[0]?.broken).toHaveLength(4);
    await watch();
    expect([await triggers('shop.visits_1'), await faults()]).toEqual(['AAAA', []]);
    expect(await sourceVersion()).toBeGreaterThan(0);
  });

  test('stay a fault for a role that does not own the table, until its owner repeats the watch', async () => {
    const schemaOwner = `tandem_${owner}`;
    await sql(
      `create role ${schemaOwner}; grant trigger on shop.visits, shop.visits_1, shop.visits_2 to ${schemaOwner}`,
    );
    await sql(`alter schema tandem owner to ${schemaOwner}; grant all on all tables in schema tandem to ${schemaOwner};
      grant all on all functions in schema tandem to ${schemaOwner};
      grant all on all sequences in schema tandem to ${schemaOwner}; grant usage on schema shop to ${schemaOwner}`);
    const id = (await listWatchedSources(database.pool))[0]?.id;
    await sql(`alter function tandem.watch_${id}() owner to ${schemaOwner}`);
    const [{ me } = { me: '' }] = await query<{ me: string }>(database.pool, { text: 'select current_user as me' });
    await sql(`alter database ${new URL(database.url).pathname.slice(1)} set role = ${schemaOwner}`);
    const asOwner = new pg.Pool({ connectionString: database.url, max: 4 });
    try {
      await turnOffAndOn();
      const turns = { take: <T>(_name: string, _times: unknown, work: () => Promise<T>) => work() };
      expect(await createExamineWatches({ pool: asOwner, features: asOwner }, turns)()).toBe(1);
      expect(await triggers('shop.visits')).toBe('AAAA');
    } finally {
      await asOwner.end();
      await sql(
        `alter database ${new URL(database.url).pathname.slice(1)} reset role; alter schema tandem owner to ${me}`,
      );
      await sql(`drop owned by ${schemaOwner} cascade; drop role ${schemaOwner}`);
    }
    await watch();
    expect([await triggers('shop.visits_1'), await faults()]).toEqual(['AAAA', []]);
  });

  test('are repaired without a wait of writers', async () => {
    await turnOffAndOn();
    await other.query('begin; update shop.visits set n = 1 where user_id = 3');
    const pending = examine();
    await sql(`begin; set local lock_timeout = '900ms'; update shop.visits set n = 2 where user_id = 4; commit`);
    expect(await pending).toBe(1);
    await other.query('commit');
    expect(await examine()).toBe(0);
  });
});

test('a foreign key on which a key relies is a fault once it is gone, until it is added again', async () => {
  await sql(`create table shop.orders (id int primary key, user_id bigint not null);
    create table shop.items (order_id int constraint parent references shop.orders)`);
  await watch({ table: 'shop.orders' });
  await watch({
    table: 'shop.items',
    key: '(select o.user_id from shop.orders o where o.id = changed.order_id)',
  });
  expect(await faults()).toEqual([]);
  await sql('alter table shop.items drop constraint parent');
  expect([await faults(), await examine()]).toEqual([['ddl'], 1]);
  await sql('alter table shop.items add constraint parent foreign key (order_id) references shop.orders');
  expect(await examine()).toBe(0);
});

test('a later migration creates the event triggers that an earlier one could not', async () => {
  await sql('drop event trigger tandem_ddl; drop event trigger tandem_drop');
  expect(await detectsSchemaChanges(database.pool)).toBe(false);
  await migrate(database.pool);
  expect(await detectsSchemaChanges(database.pool)).toBe(true);
});

test('VACUUM FULL, statistics and rights are no change', async () => {
  await sql('vacuum full shop.visits_1');
  await sql(`analyze shop.visits; grant select on shop.visits_1 to ${owner}; create index on shop.visits_1 (n)`);
  expect([await faults(), await examine(), await sourceVersion()]).toEqual([[], 0, 0]);
});
