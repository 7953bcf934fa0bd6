import { once } from 'node:events';
import { type AddressInfo, createServer, type Socket } from 'node:net';
import { afterAll, beforeAll, expect, inject, test } from 'vitest';
import { HOSTILE_DEFAULTS, setDefaults, together } from '../hostile-defaults.fixture.ts';
import { startProxy } from '../stalling-proxy.fixture.ts';
import { createTestDatabase, type TestDatabase } from '../store.fixture.ts';
import { createPool, parseInt8, query, transaction } from './database.ts';

let database: TestDatabase;
beforeAll(async () => {
  database = await createTestDatabase(inject('databaseUrl'));
  await database.pool.query('create table notes (n bigint)');
});
afterAll(() => database.drop());

const notes = () => query<{ n: number }>(database.pool, { text: 'select n from notes' });
const unavailable = { code: 'unavailable', retryAfter: 1 };

test('a failed transaction leaves nothing, and its connection stays usable', async () => {
  const before = database.pool.totalCount;
  const failing = transaction(database.pool, async (db) => {
    await db.query('insert into notes values (1)');
    throw new Error('no');
  });
  await expect(failing).rejects.toThrow('no');
  expect(await notes()).toEqual([]);
  expect(database.pool.totalCount).toBe(Math.max(1, before));
});

test('a connection that breaks in a transaction or before its commit is reported as unavailable, and the pool recovers', async () => {
  const cut = transaction(database.pool, async (db) => {
    const [row] = await query<{ pid: number }>(db, { text: 'select pg_backend_pid() as pid' });
    await db.query('insert into notes values (2)');
    await database.pool.query('select pg_terminate_backend($1)', [row?.pid]);
  });
  await expect(cut).rejects.toMatchObject(unavailable);
  expect(await notes()).toEqual([]);
});

test('a statement that takes too long is reported as unavailable; an invalid statement is not', async () => {
  const pool = createPool({ url: database.url, applicationName: 'limits', statementTimeoutMs: 4_000, max: 1 });
  await expect(query(pool, { text: 'select pg_sleep(60)' })).rejects.toMatchObject(unavailable);
  await expect(query(pool, { text: 'select nothing' })).rejects.toMatchObject({ code: '42703' });
  expect(await query(pool, { text: `select current_setting('synchronous_commit') as mode` })).toEqual([{ mode: 'on' }]);
  await pool.end();
});

test('a statement’s time limit applies while it runs and while it connects; a silent connection is not kept', async () => {
  const proxy = await startProxy(new URL(database.url));
  // With the default limits this test would wait for ten minutes.
  const patient = { connectTimeoutMs: 600_000, statementTimeoutMs: 600_000, max: 1 };
  const pool = createPool({ url: proxy.url, applicationName: 'little-time', ...patient });
  await query(pool, { text: 'select 1', withinMs: 60_000 });
  proxy.stall(true);
  await expect(query(pool, { text: 'select 1', withinMs: 50 })).rejects.toMatchObject(unavailable);
  await expect.poll(() => pool.totalCount, { timeout: 30_000 }).toBe(0);
  await expect(query(pool, { text: 'select 1', withinMs: 50 })).rejects.toMatchObject(unavailable);
  proxy.close();
  await pool.end();
});

test('a server that is slow for a short time costs an impatient caller the answer, but not the connection', async () => {
  const pool = createPool({ url: database.url, applicationName: 'slow', max: 1 });
  const pid = await query(pool, { text: 'select pg_backend_pid() as pid' });
  await expect(query(pool, { text: 'select pg_sleep(0.3)', withinMs: 50 })).rejects.toMatchObject(unavailable);
  expect(await query(pool, { text: 'select pg_backend_pid() as pid', withinMs: 60_000 })).toEqual(pid);
  await pool.end();
});

test('a connection that opens after its caller gave up is kept for the next caller', async () => {
  const pool = createPool({ url: database.url, applicationName: 'late', max: 1 });
  const holder = await pool.connect();
  const pid = await holder.query('select pg_backend_pid() as pid');
  await expect(query(pool, { text: 'select 1', withinMs: 20 })).rejects.toMatchObject(unavailable);
  holder.release();
  expect(await query(pool, { text: 'select pg_backend_pid() as pid', withinMs: 60_000 })).toEqual(pid.rows);
  await pool.end();
});

test('settings in the URL do not replace Tandem’s settings; other settings in the URL apply', async () => {
  const asked = '-c synchronous_commit=off -c statement_timeout=0 -c work_mem=8MB';
  const url = `${database.url}?options=${encodeURIComponent(asked)}&statement_timeout=0&lock_timeout=1&query_timeout=1&idle_in_transaction_session_timeout=1&client_encoding=LATIN1&sslmode=disable`;
  const pool = createPool({ url, applicationName: 'own-limits', statementTimeoutMs: 5_000, max: 1 });
  const settings = await settingsOf(pool, ['work_mem', ...OUR_SETTINGS]);
  expect(settings).toMatchObject({ work_mem: '8MB', statement_timeout: '5s', lock_timeout: '10s' });
  expect(settings).toMatchObject({ synchronous_commit: 'on', client_encoding: 'UTF8' });
  expect(settings).toMatchObject({
    idle_in_transaction_session_timeout: '30s',
    client_connection_check_interval: '1s',
  });
  await pool.end();
});

const OUR_SETTINGS = [
  'statement_timeout',
  'lock_timeout',
  'idle_in_transaction_session_timeout',
  'synchronous_commit',
].concat(['client_encoding', 'client_connection_check_interval']);

async function settingsOf(pool: ReturnType<typeof createPool>, names: readonly string[]) {
  const rows = await query<{ name: string; value: string | null }>(pool, {
    text: 'select name, current_setting(name, true) as value from unnest($1::text[]) as name',
    values: [names],
  });
  return Object.fromEntries(rows.map(({ name, value }) => [name, value]));
}

test.each(Object.entries(HOSTILE_DEFAULTS))(
  'other defaults of %s do not change Tandem’s settings',
  async (name, all) => {
    const defaults = together(name, all);
    const names = Object.keys(defaults.settings).filter((setting) => !LEFT_AS_FOUND.includes(setting));
    const expected = await settingsOf(database.pool, names);
    const other = await createTestDatabase(inject('databaseUrl'));
    await setDefaults(other.url, defaults);
    const found = await settingsOf(other.pool, names);
    // The order of day and month is not changed, since feature queries may read dates in it.
    if (found.datestyle) found.datestyle = found.datestyle.replace('DMY', 'MDY');
    expect(found).toEqual(expected);
    await other.drop();
  },
);

/**
 * Settings that are not replaced, since feature queries may depend on the role's values. The costs of compiling do not
 * matter, since compiling is off.
 */
const LEFT_AS_FOUND = [
  ...['timezone', 'search_path', 'transform_null_equals'],
  ...['jit_above_cost', 'jit_inline_above_cost', 'jit_optimize_above_cost'],
];

test('a session begins with no parameter that a pooler such as PgBouncer rejects', async () => {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  const pool = createPool({ url: `postgres://u:p@127.0.0.1:${port}/d`, applicationName: 'start-up' });
  const lent = query(pool, { text: 'select 1' });
  const [socket]: Socket[] = await once(server, 'connection');
  const [message]: Buffer[] = await once(socket ?? server, 'data');
  socket?.destroy();
  await expect(lent).rejects.toMatchObject(unavailable);
  // Length and protocol, then names and values, each ended by a zero.
  const texts = message?.subarray(8).toString().split('\0') ?? [];
  const names = texts.filter((text, i) => i % 2 === 0 && text !== '');
  expect(names.sort()).toEqual(['application_name', 'client_encoding', 'database', 'user']);
  await pool.end();
  server.close();
});

test('a rejected setting is reported with the server’s message, and the connection is not lent', async () => {
  const pool = createPool({ url: database.url, applicationName: 'refused', lockTimeoutMs: -1 });
  await expect(query(pool, { text: 'select 1' })).rejects.toMatchObject({
    code: 'config_invalid',
    message: expect.stringContaining('lock_timeout'),
    field: 'DATABASE_URL',
  });
  expect(pool.totalCount).toBe(0);
  await pool.end();
});

test.each(['127.0.0.1', 'localhost'])(
  'a server that rejects connections on %s is reported as unavailable',
  async (host) => {
    const pool = createPool({ url: `postgres://nobody@${host}:1/none`, applicationName: 'nobody' });
    await expect(query(pool, { text: 'select 1' })).rejects.toMatchObject(unavailable);
    await expect(transaction(pool, async () => 1)).rejects.toMatchObject(unavailable);
    await pool.end();
  },
);

test.each<[string, (url: URL) => void]>([
  ['TLS, which the server does not have', (url) => url.searchParams.set('sslmode', 'require')],
  ['a login with a wrong password', (url) => Object.assign(url, { password: 'wrong' })],
  ['a database that does not exist', (url) => Object.assign(url, { pathname: '/no_such_database' })],
])('an address that requires %s is reported as unavailable, not as a defect', async (_, change) => {
  const url = new URL(database.url);
  change(url);
  const pool = createPool({ url: url.href, applicationName: 'refused' });
  await expect(query(pool, { text: 'select 1' })).rejects.toMatchObject(unavailable);
  await pool.end();
});

test('int8 is a number if a double holds it exactly, else a text', async () => {
  expect([parseInt8('9007199254740991'), parseInt8('9007199254740992')]).toEqual([
    9007199254740991,
    '9007199254740992',
  ]);
  expect(await query(database.pool, { text: 'select 5::bigint as n, count(*) as m from notes' })).toEqual([
    { n: 5, m: 0 },
  ]);
});
