/**
 * Postgres crashes right after a session without durable commits has changed rows. A change of a watched table is not
 * lost; the same change of another table is.
 */
import { rm } from 'node:fs/promises';
import { adopt } from '@tandem/offline-store/adopt';
import { watchSource } from '@tandem/offline-store/sources/watch-source';
import { migrate } from '@tandem/offline-store/sql/migrate';
import { visitsPredictor } from '@tandem/offline-store/store.fixture';
import pg from 'pg';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { makeFolder, type OwnPostgres, ownPostgres } from './servers.fixture.ts';

let folder: string;
let postgres: OwnPostgres & { close(): Promise<void> };
beforeAll(async () => {
  folder = await makeFolder();
  postgres = await ownPostgres(folder);
  await migrate(postgres.url);
  await use(async (client) => {
    // Otherwise this process writes commits to the disk after 200 ms.
    await client.query(`alter system set wal_writer_delay = '10s'`);
    await client.query('select pg_reload_conf()');
    await client.query(`create table changed (user_id bigint primary key, n int not null default 0);
      create table plain (like changed including all);
      insert into changed select n from generate_series(1, 9) n; insert into plain select * from changed`);
  });
});
afterAll(async () => {
  await postgres?.close();
  await rm(folder, { recursive: true, force: true });
});

async function use<T>(work: (client: pg.Client) => Promise<T>): Promise<T> {
  const client = new pg.Client({ connectionString: postgres.url });
  // The crash ends connections.
  client.on('error', () => {});
  await client.connect();
  try {
    return await work(client);
  } finally {
    await client.end().catch(() => {});
  }
}

const sumOf = (table: string) =>
  use(async (client) => (await client.query<{ n: number }>(`select sum(n)::int as n from ${table}`)).rows[0]?.n);

/** Changes one row without a durable commit, and crashes Postgres when the commit has returned. */
async function changeAndCrash(table: string): Promise<void> {
  await use(async (client) => {
    await client.query('set session_replication_role = replica; set synchronous_commit = off; checkpoint');
    await client.query(`begin; update ${table} set n = n + 1 where user_id = 1; set local synchronous_commit = off`);
    await client.query('commit');
    await postgres.end('SIGQUIT');
  });
  await postgres.start();
}

test('a change of a watched table survives a crash that loses the same change of another table', async () => {
  const pool = new pg.Pool({ connectionString: postgres.url });
  await adopt(pool, { predictors: [visitsPredictor()], actor: 'test' });
  await watchSource(pool, { table: 'changed', key: 'user_id', columns: null, predictors: ['visits'], actor: 'test' });
  await pool.end();
  await changeAndCrash('plain');
  expect(await sumOf('plain')).toBe(0);
  await changeAndCrash('changed');
  expect(await sumOf('changed')).toBe(1);
});
