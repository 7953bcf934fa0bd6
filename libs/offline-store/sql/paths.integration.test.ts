/** Addresses of Postgres that a starting process rejects, on real databases. */
import { once } from 'node:events';
import { type AddressInfo, createServer } from 'node:net';
import pg from 'pg';
import { afterAll, beforeAll, expect, inject, test } from 'vitest';
import { createTestDatabase, type TestDatabase } from '../store.fixture.ts';
import { createPool, query } from './database.ts';
import { assertOwnSession, leadsThroughPooler, provePaths } from './paths.ts';

let database: TestDatabase;
let other: TestDatabase;
beforeAll(async () => {
  database = await createTestDatabase(inject('databaseUrl'));
  other = await createTestDatabase(inject('databaseUrl'));
});
afterAll(async () => {
  await database.drop();
  await other.drop();
});

/** The time limit of statements, which is short by default in one test. */
const LIMIT = { text: `select current_setting('statement_timeout') as limit` };

/** Checks the paths like a process whose DATABASE_URL leads through a pooler, although there is none here. */
async function prove(directUrl: string, featuresUrl = database.url): Promise<void> {
  const open = (url: string, throughPooler: boolean) =>
    createPool({ url, throughPooler, applicationName: 'paths-test', max: 1 });
  const pools = { pool: open(database.url, true), features: open(featuresUrl, true), vital: open(directUrl, false) };
  try {
    await provePaths({ url: database.url, directUrl, featuresUrl }, pools);
    for (const pool of Object.values(pools)) expect(await query(pool, LIMIT)).toEqual([{ limit: '30s' }]);
  } finally {
    await Promise.all(Object.values(pools).map((pool) => pool.end()));
  }
}

async function withDefault(setting: string, value: string, work: () => Promise<void>): Promise<void> {
  const client = new pg.Client({ connectionString: database.url });
  await client.connect();
  const name = new URL(database.url).pathname.slice(1);
  await client.query(`alter database ${name} set ${setting} = '${value}'`);
  await work().finally(async () => {
    await client.query(`alter database ${name} reset ${setting}`);
    await client.end();
  });
}

test('one database by two addresses is accepted, even with other defaults for settings of each transaction', async () => {
  await prove(database.url);
  for (const [name, value] of [
    ['synchronous_commit', 'off'],
    ['datestyle', 'German'],
    ['statement_timeout', '500ms'],
  ] as const) {
    await withDefault(name, value, () => prove(database.url));
  }
});

test('of several servers the first that answers is checked', async () => {
  const several = database.url.replace(/@([^/]+)/, '@127.0.0.1:1,$1');
  await prove(several);
});

test('a server that accepts the connection but stays silent is unavailable, and nothing is proved', async () => {
  const silent = createServer().listen(0, '127.0.0.1');
  await once(silent, 'listening');
  const { port } = silent.address() as AddressInfo;
  try {
    const url = `postgres://tandem@127.0.0.1:${port}/tandem`;
    await expect(assertOwnSession(url, 'DATABASE_URL')).rejects.toMatchObject({
      code: 'unavailable',
      detail: 'timeout expired',
    });
  } finally {
    silent.close();
  }
});

test('a default that affects single statements is rejected by name', async () => {
  await withDefault('default_transaction_isolation', 'serializable', () =>
    expect(prove(database.url)).rejects.toMatchObject({
      code: 'config_invalid',
      field: 'DATABASE_URL',
      message: expect.stringContaining('transaction_isolation = serializable'),
      remedy: expect.stringContaining('reset default_transaction_isolation'),
    }),
  );
});

test('a direct address of another database is rejected', async () => {
  await expect(prove(other.url)).rejects.toMatchObject({
    code: 'config_invalid',
    field: 'DATABASE_DIRECT_URL',
    message: expect.stringContaining('names another database than DATABASE_URL'),
  });
});

test('a server that does not answer is not reported as a fault of the configuration', async () => {
  await expect(prove('postgres://u:p@127.0.0.1:1/none')).rejects.toMatchObject({ code: 'unavailable' });
});

test.each([
  ['postgres://u:p@pooler:6432/db', 'postgres://u:p@postgres:5432/db', true],
  ['postgres://other:x@postgres:5432/db?sslmode=require', 'postgres://u:p@postgres:5432/db', false],
  ['postgres://u:p@one:5432,two:5432/db', 'postgres://one:5432,two:5432/db', false],
  ['postgres://u:p@pooler:6432/db', undefined, false],
])('%s beside %s leads through a pooler: %s', (url, directUrl, expected) => {
  expect(leadsThroughPooler(url, { directUrl })).toBe(expected);
});
