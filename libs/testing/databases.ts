/** Databases for tests: migrated once into a template, cloned for each test file in a few dozen milliseconds. */
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

/** A migrated database to clone from; no client may stay connected to it. */
export async function createTemplateDatabase(serverUrl: string): Promise<TestDatabase> {
  const database = await createDatabase(serverUrl, null);
  await migrate(database.url);
  // Also drops the objects of earlier releases, as after an upgrade: no test may need them.
  await contractSchema(database.url);
  return database;
}

/** A database without the service's schema. */
export function createEmptyDatabase(serverUrl: string): Promise<TestDatabase> {
  return createDatabase(serverUrl, null);
}

/** A test's own copy of the template. By its log, not its files: those cost two checkpoints, for which all of the server's files are flushed. */
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
