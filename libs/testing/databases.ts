/** Creates databases for tests. One template is migrated, and each test file clones it in a few dozen milliseconds. */
import { randomBytes } from 'node:crypto';
import { migrate } from '@tandem/offline-store/sql/migrate';
import { contractSchema } from '@tandem/offline-store/upgrade';
import pg from 'pg';
import type {} from './provided-context.ts';

export interface TestDatabase {
  readonly url: string;
  readonly name: string;
  drop(): Promise<void>;
}

/** Creates a migrated database to clone. No client may stay connected to it. */
export async function createTemplateDatabase(serverUrl: string): Promise<TestDatabase> {
  const database = await createDatabase(serverUrl, null);
  await migrate(database.url);
  // Also drops the objects of earlier releases, as after an upgrade, since no test may need them.
  await contractSchema(database.url);
  return database;
}

/** Creates a database without the service's schema. */
export function createEmptyDatabase(serverUrl: string): Promise<TestDatabase> {
  return createDatabase(serverUrl, null);
}

/**
 * Creates a copy of the template, by its log and not by its files. A copy of files needs two checkpoints, which flush
 * all files of the server.
 */
export function cloneDatabase(serverUrl: string, template: string): Promise<TestDatabase> {
  return createDatabase(serverUrl, template);
}

async function createDatabase(serverUrl: string, template: string | null): Promise<TestDatabase> {
  const name = `tandem_test_${randomBytes(6).toString('hex')}`;
  await onServer(
    serverUrl,
    `create database ${name}${template === null ? '' : ` template ${template} strategy wal_log`}`,
  );
  const url = new URL(serverUrl);
  url.pathname = `/${name}`;
  return { url: url.href, name, drop: () => onServer(serverUrl, `drop database if exists ${name} with (force)`) };
}

async function onServer(serverUrl: string, statement: string): Promise<void> {
  const client = new pg.Client({ connectionString: serverUrl });
  await client.connect();
  try {
    await client.query(statement);
  } finally {
    await client.end();
  }
}
