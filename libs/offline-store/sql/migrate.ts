/**
 * Migrates the schema with the numbered SQL files in /migrations, forward only. Any number of processes may start
 * concurrently: a lock lets one migrate, and the others wait and then find nothing to do. The service keeps running. A
 * file whose locks would delay others limits its wait (`set local lock_timeout`), and is retried until it succeeds.
 */
import { readdir, readFile } from 'node:fs/promises';
import { setTimeout } from 'node:timers/promises';
import { TandemError } from '@tandem/freshness/errors';
import { PROTOCOL } from '@tandem/freshness/protocol';
import { Kysely, PostgresDialect, type PostgresPool, sql } from 'kysely';
import { type MigrateOptions, type Migration, Migrator } from 'kysely/migration';
import pg from 'pg';
import { createPool, query, queryOne, sqlState, withClient } from './database.ts';
import { assertOwnSession } from './paths.ts';
import { findProtocol } from './protocol.ts';
import { explainRefusedMigration, explainRefusedReading, isRefusal } from './rights.ts';

const FOLDER = new URL('../../../migrations/', import.meta.url);
const TABLE = 'migrations';
/** The table that records which files of `contractFolder` were applied; it does not exist before the first. */
export const CONTRACT_TABLE = 'contract_migrations';
/** The migration that added the protocol number to the schema. */
const STATES_PROTOCOL = '0065_protocol_number';
const SCHEMA = 'tandem';
/** Two 32-bit halves of an advisory lock's id that no other program is likely to use. */
const LOCK = '1413567556, 1296648007';
/** The time between two checks whether another process has finished. */
const LOOK_MS = 100;
/** The pause between two attempts at a file that did not get its locks in time, and the total time for attempts. */
const RETRY_MS = 500;
const RETRY_FOR_MS = 1_800_000;

/**
 * - `missing`: never migrated; `behind`: files not applied; `current`
 * - `ahead`: migrated by a newer release, with which this release can serve side by side
 * - `contracted`: a newer release dropped objects that this release uses
 * - `other_protocol`: this release does not know the schema's freshness protocol
 */
export interface SchemaState {
  readonly state: 'missing' | 'behind' | 'ahead' | 'contracted' | 'other_protocol' | 'current';
  readonly applied: readonly string[];
  /** Files that the database lacks. */
  readonly pending: readonly string[];
  /** Applied names that this release does not know. */
  readonly unknown: readonly string[];
  /** The number of the freshness protocol that it states; null if it states none. */
  readonly protocol: number | null;
}

/**
 * Applies missing migrations, each file in a separate transaction, except files that build an index concurrently, which
 * Postgres does outside a transaction. Resolves with the newly applied names. Rejects with `config_invalid`, which
 * names file and line, if a migration fails (earlier ones stay applied) or the user lacks the right to migrate.
 * @param table the table of the schema that records the applied files of the folder
 */
export async function migrate(
  database: string | pg.Pool,
  log: (line: string) => void = () => {},
  folder: URL = FOLDER,
  table: string = TABLE,
): Promise<readonly string[]> {
  const files = { folder, table };
  if (typeof database !== 'string') return migrateWith(database, log, files);
  // The lock that excludes other migrators belongs to a session.
  await assertOwnSession(database, 'DATABASE_URL');
  // A migration may take long and may wait for another process, so the usual time limits do not apply.
  const pool = createPool({ url: database, max: 1, applicationName: 'tandem-migrate', statementTimeoutMs: 3_600_000 });
  try {
    return await migrateWith(pool, log, files);
  } finally {
    await pool.end();
  }
}

/** Returns the folder of files that drop objects which only earlier releases use (upgrade.ts). */
export function contractFolder(folder: URL = FOLDER): URL {
  return new URL('contract/', folder);
}

/**
 * Returns the state of the database's schema relative to this release's migrations. Rejects with `config_invalid` if
 * the user may not read it.
 */
export async function schemaState(pool: pg.Pool, folder: URL = FOLDER): Promise<SchemaState> {
  const read = (table: string) =>
    readApplied(pool, table).catch(async (error: unknown) => {
      throw isRefusal(error) ? await explainRefusedReading(pool, error) : error;
    });
  const names = (await listFiles(folder)).map(nameOf);
  const applied = await read(TABLE);
  const pending = names.filter((name) => !applied.includes(name));
  const unknown = applied.filter((name) => !names.includes(name));
  const known = (await listFiles(contractFolder(folder))).map(nameOf);
  const dropped = (await read(CONTRACT_TABLE)).filter((name) => !known.includes(name));
  const protocol = applied.includes(STATES_PROTOCOL) ? await findProtocol(pool) : null;
  if (dropped.length > 0) return { state: 'contracted', applied, pending, unknown: dropped, protocol };
  if (protocol !== null && protocol !== PROTOCOL) {
    // A lower protocol number is accepted, since a pending migration raises it.
    const state = protocol < PROTOCOL && pending.length > 0 ? 'behind' : 'other_protocol';
    return { state, applied, pending, unknown, protocol };
  }
  const state =
    applied.length === 0 ? 'missing' : unknown.length > 0 ? 'ahead' : pending.length > 0 ? 'behind' : 'current';
  return { state, applied, pending, unknown, protocol };
}

async function readApplied(pool: pg.Pool, record: string): Promise<string[]> {
  const { found } = await queryOne<{ found: boolean }>(pool, {
    text: `select to_regclass('${SCHEMA}.${record}') is not null as found`,
  });
  const rows = found
    ? await query<{ name: string }>(pool, { text: `select name from ${SCHEMA}.${record} order by name` })
    : [];
  return rows.map((row) => row.name);
}

/**
 * SQL that probes functions that the server may hide (migrations/0058), and creates event triggers where the role may
 * (migrations/0074). Does nothing for a role that does not own the schema.
 */
const PROBE_SERVER = `do $$ begin
  if to_regprocedure('tandem.probe_history()') is not null then
    if has_function_privilege('tandem.probe_history()', 'execute') then perform tandem.probe_history(); end if;
  end if;
  if to_regprocedure('tandem.create_event_triggers()') is not null then
    if has_function_privilege('tandem.create_event_triggers()', 'execute') then perform tandem.create_event_triggers(); end if;
  end if;
end $$`;

interface MigrationFiles {
  readonly folder: URL;
  readonly table: string;
}

async function migrateWith(
  pool: pg.Pool,
  log: (line: string) => void,
  files: MigrationFiles,
): Promise<readonly string[]> {
  return withClient(pool, async (client) => {
    const limits = await readLimits(client);
    await setLimits(client, { statement: '0', lock: '0' });
    await takeTurn(client);
    try {
      const applied = await applyMissing(client, log, files);
      await client.query(PROBE_SERVER);
      return applied;
    } finally {
      await client.query(`select pg_advisory_unlock(${LOCK})`);
      // RESET is not used, since it would set the default of the role or the server.
      await setLimits(client, limits);
    }
  });
}

interface Limits {
  readonly statement: string;
  readonly lock: string;
}

function readLimits(client: pg.PoolClient): Promise<Limits> {
  const text = `select current_setting('statement_timeout') as statement, current_setting('lock_timeout') as lock`;
  return queryOne<Limits>(client, { text });
}

async function setLimits(client: pg.PoolClient, { statement, lock }: Limits): Promise<void> {
  const text = `select set_config('statement_timeout', $1, false), set_config('lock_timeout', $2, false)`;
  await query(client, { text, values: [statement, lock] });
}

/**
 * Acquires the lock of migrations. Without it, two migrators that create their tables concurrently could collide. The
 * lock is polled: an index that is built concurrently waits for running statements, including a statement that waits
 * for this lock.
 */
async function takeTurn(client: pg.PoolClient): Promise<void> {
  for (;;) {
    const { rows } = await client.query<{ ours: boolean }>(`select pg_try_advisory_lock(${LOCK}) as ours`);
    if (rows[0]?.ours) return;
    await setTimeout(LOOK_MS);
  }
}

async function applyMissing(client: pg.PoolClient, log: (line: string) => void, { folder, table }: MigrationFiles) {
  const db = new Kysely<unknown>({ dialect: new PostgresDialect({ pool: onlyThis(client) }) });
  const texts = await readAll(folder);
  const migrator = new Migrator({
    db,
    migrationTableSchema: SCHEMA,
    migrationTableName: table,
    migrationLockTableName: 'migration_lock',
    provider: { getMigrations: async () => Object.fromEntries([...texts].map(([name, text]) => [name, run(text)])) },
  });
  const applied: string[] = [];
  const deadline = performance.now() + RETRY_FOR_MS;
  // Files are applied one by one. Each commits together with its record, so that a failure keeps earlier files applied.
  for (;;) {
    const { error, results = [] } = await migrator.migrateUp(await howToApplyNext(migrator, texts));
    const name = results[0]?.migrationName;
    if (sqlState(error) === '55P03' && performance.now() < deadline) {
      await setTimeout(RETRY_MS);
      continue;
    }
    if (isRefusal(error)) throw await explainRefusedMigration(client, error);
    if (error !== undefined) throw failure(error, table === TABLE ? name : `contract/${name}`, texts.get(name ?? ''));
    if (name === undefined) return applied;
    applied.push(name);
    log(`migrated ${name}`);
  }
}

async function howToApplyNext(migrator: Migrator, texts: ReadonlyMap<string, string>): Promise<MigrateOptions> {
  const next = (await migrator.getMigrations()).find(({ executedAt }) => executedAt === undefined);
  return { disableTransactions: isConcurrent(texts.get(next?.name ?? '') ?? '') };
}

/**
 * Returns whether a file builds indexes concurrently. Such a file has no other statements, and its statements can be
 * repeated.
 */
function isConcurrent(text: string): boolean {
  return /\bindex concurrently\b/.test(text);
}

function run(text: string): Migration {
  // Without parameters pg sends a text as one simple query with many statements, which is one transaction.
  const pieces = isConcurrent(text) ? statementsOf(text) : [text];
  return {
    async up(db: Kysely<unknown>) {
      for (const piece of pieces) await sql.raw(piece).execute(db);
    },
  };
}

/**
 * Returns the statements of a file. Blanks replace the text before each, so that the position of an error is that in
 * the file.
 */
function statementsOf(text: string): string[] {
  return [...text.matchAll(/[^;]*[^;\s][^;]*;/g)].map(
    (found) => text.slice(0, found.index).replace(/[^\n]/g, ' ') + found[0],
  );
}

function failure(error: unknown, name: string | undefined, text: string | undefined): TandemError {
  const message = error instanceof Error ? error.message : String(error);
  if (name === undefined || text === undefined) {
    return new TandemError('config_invalid', `The database's migrations do not match this release: ${message}`, {
      cause: error,
      remedy: 'run the release that migrated this database, or a newer one',
    });
  }
  const position = error instanceof pg.DatabaseError ? Number(error.position) : Number.NaN;
  const line = Number.isInteger(position) ? `:${text.slice(0, position - 1).split('\n').length}` : '';
  const where = `migrations/${name}.sql${line}`;
  return new TandemError('config_invalid', `Migration ${name} failed at ${where}: ${message}`, {
    field: where,
    cause: error,
    remedy: 'the changes of this file were rolled back, or can be repeated; fix the cause and start again',
  });
}

async function listFiles(folder: URL): Promise<string[]> {
  const found = await readdir(folder).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return [];
    throw error;
  });
  return found.filter((file) => /^\d{4}_\w+\.sql$/.test(file)).sort();
}

function nameOf(file: string): string {
  return file.replace(/\.sql$/, '');
}

async function readAll(folder: URL): Promise<Map<string, string>> {
  const files = await listFiles(folder);
  const texts = await Promise.all(files.map((file) => readFile(new URL(file, folder), 'utf8')));
  return new Map(files.map((file, i) => [nameOf(file), texts[i] ?? '']));
}

/** Returns a pool-like object over the one connection that holds the lock. */
function onlyThis(client: pg.PoolClient): PostgresPool {
  const lent = { query: client.query.bind(client), release: () => {} };
  return { connect: async () => lent, end: async () => {}, options: {} } as unknown as PostgresPool;
}
