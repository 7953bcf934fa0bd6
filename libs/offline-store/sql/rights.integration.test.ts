/**
 * Users with few rights, on a real Postgres: the grants are enough to serve, and each error names the missing grant.
 */
import { randomBytes, randomUUID } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import pg from 'pg';
import { afterAll, beforeAll, expect, inject, test } from 'vitest';
import { adopt } from '../adopt.ts';
import { checkWatchable, unwatchSource, watchSource } from '../sources/watch-source.ts';
import { createTestDatabase, type TestDatabase, visitsPredictor } from '../store.fixture.ts';
import { createPool } from './database.ts';
import { migrate, schemaState } from './migrate.ts';
import { createPartition } from './partition.ts';
import { grantsFor, quoteName } from './rights.ts';

const suffix = randomBytes(4).toString('hex');
const [owner, reader] = [`owner_${suffix}`, `reader_${suffix}`];
let database: TestDatabase;
let asOwner: ReturnType<typeof createPool>;
let asReader: ReturnType<typeof createPool>;

beforeAll(async () => {
  database = await createTestDatabase(inject('databaseUrl'));
  await database.pool.query(
    `create role ${owner} login password 'secret'; create role ${reader} login password 'secret'`,
  );
  asOwner = createPool({ url: urlOf(owner), max: 2, applicationName: 'rights-test' });
  asReader = createPool({ url: urlOf(reader), max: 2, applicationName: 'rights-test' });
});
afterAll(async () => {
  await asOwner.end();
  await asReader.end();
  for (const role of [reader, owner]) {
    await database.pool.query(`drop owned by ${role} cascade`);
    await database.pool.query(`drop role ${role}`);
  }
  await database.drop();
});

function urlOf(user: string): string {
  const url = new URL(database.url);
  url.username = user;
  url.password = 'secret';
  return url.href;
}

test('a user that may not create the schema gets an error with the grant, and can migrate with it', async () => {
  const [{ name } = { name: '' }] = (await database.pool.query<{ name: string }>('select current_database() as name'))
    .rows;
  const grant = `grant create on database ${name} to ${owner}`;
  await expect(migrate(asOwner)).rejects.toMatchObject({
    code: 'config_invalid',
    message: expect.stringContaining(`User ${owner} may not migrate: permission denied for database`),
    remedy: expect.stringContaining(grant),
  });
  await database.pool.query(grant);
  expect(await migrate(asOwner)).not.toEqual([]);
  expect((await schemaState(asOwner)).state).toBe('current');
});

test('a user without rights in the schema gets an error that says who may migrate, and which grants are needed to serve', async () => {
  await expect(migrate(asReader)).rejects.toMatchObject({
    code: 'config_invalid',
    message: `User ${reader} may not migrate: permission denied for schema tandem`,
    remedy: expect.stringContaining(`migrate as ${owner}`),
  });
  await expect(schemaState(asReader)).rejects.toMatchObject({
    code: 'config_invalid',
    message: expect.stringContaining('permission denied for schema tandem'),
    remedy: expect.stringContaining(grantsFor(reader, owner)),
  });
});

test('with the grants a user can read and write, even later partitions, and send events, but not create partitions', async () => {
  await asOwner.query(grantsFor(reader, owner));
  expect((await schemaState(asReader)).state).toBe('current');
  const later = randomUUID();
  await createPartition(asOwner, later);
  const partition = `tandem.generation_${later.replaceAll('-', '')}`;
  expect((await asReader.query(`select from ${partition}`)).rows).toEqual([]);
  await asReader.query(`update tandem.settings set key_type = 'text'`);
  await asReader.query(
    `insert into tandem.events (source, id, type, user_id) values ('shop', '1', 'order.placed', 'anna')`,
  );
  const { rows } = await asReader.query('select user_id, version::int from tandem.user_contexts');
  expect(rows).toEqual([{ user_id: 'anna', version: 1 }]);
  await expect(createPartition(asReader, randomUUID())).rejects.toMatchObject({ code: '42501' });
});

test('an application that only sends events in SQL needs usage of the schema and insert on events', async () => {
  await asOwner.query(`revoke all on all tables in schema tandem from ${reader};
    revoke all on all sequences in schema tandem from ${reader}; grant insert on tandem.events to ${reader}`);
  await asReader.query(
    `insert into tandem.events (source, id, type, user_id) values ('shop', '2', 'order.placed', 'anna')`,
  );
  const { rows } = await asOwner.query('select version::int from tandem.user_contexts');
  expect(rows).toEqual([{ version: 2 }]);
});

test.each([
  { trick: 'takes its types from the session', before: [] },
  {
    trick: 'was compiled in the session by a call that fails',
    before: [`select tandem.check_events('{}', '{}')`, `select tandem.later_value(null, null, '{}')`],
  },
])('no type of an application runs with the owner’s rights if the trigger $trick', async ({ before }) => {
  await asOwner.query(`grant usage on schema tandem to ${reader}; grant insert on tandem.events to ${reader};
    update tandem.settings set key_type = 'text'`);
  await adopt(asOwner, { predictors: [visitsPredictor({ keyType: 'text' })], actor: 'test' });
  const application = new pg.Client({ connectionString: urlOf(reader) });
  await application.connect();
  try {
    await application.query(`
      create function pg_temp.note(value anyelement) returns pg_catalog.bool language plpgsql as $$ begin
        perform pg_catalog.set_config('test.ran_as',
          pg_catalog.concat_ws(' ', pg_catalog.current_setting('test.ran_as', true), current_user), false);
        return true;
      end $$;
      create domain pg_temp.text as pg_catalog.text check (pg_temp.note(value));
      create domain pg_temp.jsonb as pg_catalog.jsonb check (pg_temp.note(value));
      create domain pg_temp.timestamptz as pg_catalog.timestamptz check (pg_temp.note(value))`);
    for (const call of before) await application.query(call).catch(() => {});
    await application.query(`insert into tandem.events (source, id, type, user_id, data)
      values ('shop', gen_random_uuid(), 'order.placed', 'eve', '{"city": "Oslo"}')`);
    const { rows } = await application.query(`select current_setting('test.ran_as', true) as users`);
    expect(rows[0].users ?? '').not.toContain(owner);
  } finally {
    await application.end();
  }
});

test('no operator of an application runs with the owner’s rights when a transaction commits', async () => {
  await database.pool.query(`create schema if not exists tricks; grant usage, create on schema tricks to ${reader}`);
  const application = new pg.Client({ connectionString: urlOf(reader) });
  await application.connect();
  try {
    await application.query(`
      create function tricks.equal(one text, other text) returns bool language plpgsql as $$ begin
        perform pg_catalog.set_config('test.ran_as', pg_catalog.concat_ws(' ',
          pg_catalog.current_setting('test.ran_as', true), current_user), false);
        return one operator(pg_catalog.=) other;
      end $$;
      create operator tricks.= (function = tricks.equal, leftarg = text, rightarg = text);
      set search_path = tricks, pg_catalog; set synchronous_commit = off`);
    await application.query(`insert into tandem.events (source, id, type, user_id)
      values ('shop', gen_random_uuid()::pg_catalog.text, 'order.placed', 'eve')`);
    const { rows } = await application.query(`select pg_catalog.current_setting('test.ran_as', true) as users`);
    expect(rows[0].users ?? '').not.toContain(owner);
  } finally {
    await application.end();
    await database.pool.query('drop schema tricks cascade');
  }
});

test('a key that looks up a parent behind row security is rejected, and a fault if it came later; the write succeeds', async () => {
  await database.pool.query(`drop schema if exists guarded cascade; create schema guarded;
    create table guarded.parents (id int primary key, user_id text not null);
    create table guarded.children (parent int references guarded.parents);
    insert into guarded.parents values (1, 'anna');
    grant usage on schema guarded to ${owner}; grant select, trigger on all tables in schema guarded to ${owner}`);
  const watch = { columns: null, predictors: ['visits'], actor: 'test' };
  await watchSource(asOwner, { ...watch, table: 'guarded.parents', key: 'user_id' });
  const key = '(select p.user_id from guarded.parents p where p.id = changed.parent)';
  const children = { ...watch, table: 'guarded.children', key };
  await database.pool.query('alter table guarded.parents enable row level security');
  await expect(watchSource(asOwner, children)).rejects.toMatchObject({
    code: 'config_invalid',
    message: expect.stringContaining('query would be affected by row-level security policy'),
  });
  await database.pool.query('alter table guarded.parents disable row level security');
  await watchSource(asOwner, children);
  await database.pool.query('alter table guarded.parents enable row level security');
  await database.pool.query('insert into guarded.children values (1)');
  const { rows } = await asOwner.query(`select detail from tandem.watch_faults where reason = 'key'`);
  expect(rows).toEqual([{ detail: expect.stringContaining('row-level security policy') }]);
  for (const table of ['guarded.children', 'guarded.parents']) await unwatchSource(asOwner, table, 'test');
  await database.pool.query('drop schema guarded cascade');
});

test('every function that runs with the owner’s rights searches temporary schemas last', async () => {
  const { rows } = await asOwner.query<{ name: string; path: string }>(
    `select proname as name, array_to_string(proconfig, ';') as path from pg_proc
      where pronamespace = 'tandem'::regnamespace and prosecdef order by 1`,
  );
  expect(rows.map(({ name }) => name)).toEqual([
    'accept_events',
    'apply_source_changes',
    'current_history',
    'notice_ddl',
    'probe_history',
    'stamp_event',
  ]);
  for (const { name, path } of rows) expect(path, name).toMatch(/search_path=pg_catalog(, tandem)?, pg_temp(;|$)/);
});

test('the owner of the schema can watch and unwatch another role’s table with the right to create triggers', async () => {
  await database.pool.query('create table clients (id text primary key, age int)');
  const predictor = visitsPredictor({ keyType: 'text' });
  await adopt(asOwner, { predictors: [predictor], actor: 'test' });
  const request = { table: 'clients', key: 'id', columns: null, predictors: [predictor.name], actor: 'test' };
  const grant = `grant trigger on public.clients to ${owner}`;
  const refusal = { message: `User ${owner} may not create triggers on public.clients.`, remedy: grant };
  await expect(checkWatchable(asOwner, request)).rejects.toMatchObject(refusal);
  await expect(watchSource(asOwner, request)).rejects.toMatchObject(refusal);
  await database.pool.query(grant);
  expect(await watchSource(asOwner, request)).toMatchObject({ name: 'public.clients' });
  // Adopting a config with an existing watch does not need this right.
  await asOwner.query(grantsFor(reader, owner));
  await checkWatchable(asReader, request);
  // No request could read or erase the second one.
  await database.pool.query(`insert into clients values ('bert', 1), ('.', 2)`);
  const { rows } = await asOwner.query(
    `select user_id, version::int from tandem.user_contexts where user_id in ('bert', '.')`,
  );
  expect(rows).toEqual([{ user_id: 'bert', version: 1 }]);
  expect(await unwatchSource(asOwner, 'public.clients', 'test')).toEqual(['public.clients']);
});

test('a name that is not plain is quoted', () => {
  expect([quoteName('lim'), quoteName('Li"m'), quoteName('app-user')]).toEqual(['lim', '"Li""m"', '"app-user"']);
});

test('the documented SQL, run by an administrator without superuser rights, creates a role that can migrate', async () => {
  const [administrator, tenant, shop] = [`admin_${suffix}`, `tenant_${suffix}`, `shop_${suffix}`];
  const text = await readFile(new URL('../../../docs/postgres.md', import.meta.url), 'utf8');
  const documented = /^create role tenant[^`]*?owner tenant;$/m.exec(text)?.[0] ?? '';
  expect(documented).toContain('create database shop');
  await database.pool.query(`create role ${administrator} login password 'secret' createrole createdb`);
  try {
    const asAdministrator = createPool({ url: urlOf(administrator), max: 1, applicationName: 'rights-test' });
    for (const statement of documented.split(/;.*\n?/).filter(Boolean)) {
      await asAdministrator.query(
        statement.replaceAll('tenant', tenant).replace('shop', shop).replace(/'.*'/, "'secret'"),
      );
    }
    await asAdministrator.end();
    const url = Object.assign(new URL(urlOf(tenant)), { pathname: `/${shop}` }).href;
    expect(await migrate(url)).not.toEqual([]);
  } finally {
    await database.pool.query(`drop database if exists ${shop}`);
    for (const role of [tenant, administrator]) await database.pool.query(`drop role if exists ${role}`);
  }
});
