/** The problem of a feature query that Postgres rejects: its message, and the fix for it. */
import { randomUUID } from 'node:crypto';
import { FeatureQueryFailed } from '@tandem/prediction/scoring/feature-source';
import { cloneDatabase } from '@tandem/testing/databases';
import pg from 'pg';
import { afterAll, beforeAll, expect, inject, test } from 'vitest';
import { describeQuery } from '../features/feature-check.ts';
import { readOnly } from '../features/feature-session.ts';
import { createPool } from './database.ts';

declare module 'vitest' {
  interface ProvidedContext {
    databaseUrl: string;
    templateDatabase: string;
  }
}

let database: Awaited<ReturnType<typeof cloneDatabase>>;
let pool: pg.Pool;
const login = `reader_${randomUUID().slice(0, 8)}`;

beforeAll(async () => {
  database = await cloneDatabase(inject('databaseUrl'), inject('templateDatabase'));
  const admin = new pg.Client({ connectionString: database.url });
  await admin.connect();
  await admin.query(`create table closed (user_id bigint primary key, visits int);
    create table open (user_id bigint primary key, visits int);
    create role ${login} login password 'reader';
    grant select on open to ${login}`);
  await admin.end();
  const url = new URL(database.url);
  url.username = login;
  url.password = 'reader';
  pool = createPool({ url: url.href, max: 1, applicationName: 'query-fault-test' });
});
afterAll(async () => {
  await pool.end();
  const admin = new pg.Client({ connectionString: database.url });
  await admin.connect();
  await admin.query(`drop owned by ${login}; drop role ${login}`);
  await admin.end();
  await database.drop();
});

test.each([
  [
    'select user_id, visits from nowhere',
    'relation "nowhere" does not exist (line 1 of the query)',
    /^correct its name, or create it/,
  ],
  [
    'select user_id, visits from nowhere.visits',
    'relation "nowhere.visits" does not exist (line 1 of the query)',
    /^correct its name, or create it/,
  ],
  ['select user_id, visitors from open', 'column "visitors" does not exist (line 1 of the query)', /column/],
  [
    'select user_id, twice(visits) from open',
    'function twice(integer) does not exist (line 1 of the query)',
    /function/,
  ],
  [
    'select user_id, visits from closed',
    'permission denied for table closed',
    /^grant select on it to the login of feature queries/,
  ],
  [
    'select user_id visits frm open',
    'syntax error at or near "frm" (line 1 of the query)',
    /^write one select .* without a semicolon/,
  ],
])('%s', async (sql, words, remedy) => {
  await expect(describeQuery(pool, sql)).rejects.toMatchObject({
    code: 'config_invalid',
    message: `Postgres rejects the feature query: ${words}`,
    field: 'features.sql',
    remedy: expect.stringMatching(remedy),
  });
});

test.each([
  ['select 1 / (visits - visits) from (values (1)) v (visits)', 'division by zero', true],
  ['select missing from open', 'column "missing" does not exist', false],
  ['select visits from closed', 'permission denied for table closed', false],
])('%s: whether the values of one user may be the cause', async (text, words, isOfRow) => {
  const error: unknown = await readOnly(pool, (db) => db.query(text)).catch((thrown: unknown) => thrown);
  expect(error).toBeInstanceOf(FeatureQueryFailed);
  expect(error).toMatchObject({ fault: { words, isOfRow } });
});

test('an outage and a time limit are not faults of the query', async () => {
  const ended = readOnly(pool, async (db) => {
    await db.query("set local statement_timeout = '20ms'");
    await db.query('select pg_sleep(60)');
  });
  await expect(ended).rejects.toMatchObject({ code: 'unavailable' });
  const killed = readOnly(pool, (db) => db.query('select pg_terminate_backend(pg_backend_pid())'));
  await expect(killed).rejects.toMatchObject({ code: 'unavailable' });
});
