/**
 * A database of its own for each test file, so that the shop's tables and clock are nobody else's.
 */
import { randomUUID } from 'node:crypto';
import { Client, Pool } from 'pg';

export interface ThrowawayDatabase {
  readonly pool: Pool;
  /** Ends the pool and drops the database. */
  close(): Promise<void>;
}

/** Creates an empty database on the server of `serverUrl`, whose user may create databases. */
export async function createThrowawayDatabase(serverUrl: string | undefined): Promise<ThrowawayDatabase> {
  if (serverUrl === undefined) throw new Error('TEST_DATABASE_URL is not set: name a Postgres server for the tests.');
  const name = `shop_${randomUUID().replaceAll('-', '')}`;
  await onServer(serverUrl, `create database ${name}`);
  const url = new URL(serverUrl);
  url.pathname = `/${name}`;
  const pool = new Pool({ connectionString: url.href, max: 4 });
  return {
    pool,
    close: async () => {
      await pool.end();
      await onServer(serverUrl, `drop database ${name} with (force)`);
    },
  };
}

async function onServer(serverUrl: string, statement: string): Promise<void> {
  const client = new Client({ connectionString: serverUrl });
  await client.connect();
  try {
    await client.query(statement);
  } finally {
    await client.end();
  }
}
