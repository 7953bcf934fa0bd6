/**
 * The schema, brought up to date by the numbered SQL files in /migrations, forward only. Any number of processes may
 * start at once: a lock makes one migrate and the others wait, then find nothing to do. The service runs on meanwhile: a
 * file that others would wait for says for how long (`set local lock_timeout`), and is tried again until it gets by.
 */
import { readdir, readFile } from 'node:fs/promises';
import { setTimeout } from 'node:timers/promises';
import { TandemError } from '@tandem/freshness/errors';
import { PROTOCOL } from '@tandem/freshness/protocol';
import { Kysely, PostgresDialect, type PostgresPool, sql } from 'kysely';
import { type MigrateOptions, type Migration, Migrator } from 'kysely/migration';
import pg from 'pg';
import { createPool, query, sqlState, withClient } from './database.ts';
import { assertOwnSession } from './paths.ts';
import { findProtocol } from './protocol.ts';
import { explainRefusedMigration, explainRefusedReading, isRefusal } from './rights.ts';

const FOLDER = new URL('../../../migrations/', import.meta.url);
const TABLE = 'migrations';
/** Records which files of `contractFolder` were applied; missing where none was. */
export const CONTRACT_TABLE = 'contract_migrations';
/** The migration since which the schema states the number of its protocol. */
const STATES_PROTOCOL = '0065_protocol_number';
const SCHEMA = 'tandem';
/** Two 32-bit halves of an advisory lock's id that no other program is likely to use. */
const LOCK = '1413567556, 1296648007';
/** Between two looks whether another process has finished. */
const LOOK_MS = 100;
/**
 * Pause between two attempts at a file that did not get its locks in its time limit, and the total duration of
 * attempts.
 */
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
 * Applies missing migrations, each file in its own transaction, except files that build an index concurrently, which
 * Postgres does outside a transaction. Resolves with the names applied now. Rejects with `config_invalid`, naming file
 * and line, if a migration fails (earlier ones stay applied) or the user lacks the right to migrate.
 * @param table of the schema, which records the applied files of the folder
 */
export async function migrate(
  database: string | pg.Pool,
  log: (line: string) => void = () => {},
  folder: URL = FOLDER,
  table: string = TABLE,
): Promise<readonly string[]> {
  const files = { folder, table };
  if (typeof database !== 'string') return migrateWith(database, log, files);
  // The lock that keeps others from migrating is a session's.
  await assertOwnSession(database, 'DATABASE_URL');
  // A migration may take long and may wait for another process's: the limits of serving do not apply.
  const pool = createPool({ url: database, max: 1, applicationName: 'tandem-migrate', statementTimeoutMs: 3_600_000 });
  try {
    return await migrateWith(pool, log, files);
  } finally {
    await pool.end();
  }
}

/** Files that drop what only earlier releases use (upgrade.ts). */
export function contractFolder(folder: URL = FOLDER): URL {
  return new URL('contract/', folder);
}

/** How the database's schema stands to this release's migrations. `config_invalid` where the user may not look. */
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
    // A pending migration raises a lower number.
    const state = protocol < PROTOCOL && pending.length > 0 ? 'behind' : 'other_protocol';
    return { state, applied, pending, unknown, protocol };
  }
  const state =
    applied.length === 0 ? 'missing' : unknown.length > 0 ? 'ahead' : pending.length > 0 ? 'behind' : 'current';
  return { state, applied, pending, unknown, protocol };
}

async function readApplied(pool: pg.Pool, record: string): Promise<string[]> {
  const [{ found } = { found: false }] = await query<{ found: boolean }>(pool, {
    text: `select to_regclass('${SCHEMA}.${record}') is not null as found`,
  });
  const rows = found
    ? await query<{ name: string }>(pool, { text: `select name from ${SCHEMA}.${record} order by name` })
    : [];
  return rows.map((row) => row.name);
}

/**
 * Probes functions that the server may hide (migrations/0058). Does nothing for a role that does not own the schema.
 */
const PROBE_HISTORY = `do $$ begin
  if to_regprocedure('tandem.probe_history()') is not null then
    if has_function_privilege('tandem.probe_history()', 'execute') then perform tandem.probe_history(); end if;
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
      await client.query(PROBE_HISTORY);
      return applied;
    } finally {
      await client.query(`select pg_advisory_unlock(${LOCK})`);
      // Not by RESET: that is what the role or the server has by default.
      await setLimits(client, limits);
    }
  });
}

interface Limits {
  readonly statement: string;
  readonly lock: string;
}

async function readLimits(client: pg.PoolClient): Promise<Limits> {
  const text = `select current_setting('statement_timeout') as statement, current_setting('lock_timeout') as lock`;
  const [limits] = await query<Limits>(client, { text });
  return limits ?? { statement: '0', lock: '0' };
}

async function setLimits(client: pg.PoolClient, { statement, lock }: Limits): Promise<void> {
  const text = `select set_config('statement_timeout', $1, false), set_config('lock_timeout', $2, false)`;
  await query(client, { text, values: [statement, lock] });
}

/**
 * The migrator has a lock too, but two that create its tables at the same moment may still collide. Polled, since an
 * index that is built concurrently waits for running statements, including a statement that waits for this lock.
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
  // One by one: each file commits together with the record of it, and a failure leaves those before it applied.
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
 * Whether a file builds indexes concurrently. Such a file has no other statements, and its statements may be repeated.
 */
function isConcurrent(text: string): boolean {
  return /\bindex concurrently\b/.test(text);
}

function run(text: string): Migration {
  // Without parameters pg sends a text as one simple query of many statements, which is a transaction.
  const pieces = isConcurrent(text) ? statementsOf(text) : [text];
  return {
    async up(db: Kysely<unknown>) {
      for (const piece of pieces) await sql.raw(piece).execute(db);
    },
  };
}

/**
 * Returns the statements, each with blanks for the text before it, so that an error's position is the position in the
 * file.
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

/** The one connection that holds the lock, in the shape of a pool. */
function onlyThis(client: pg.PoolClient): PostgresPool {
  const lent = { query: client.query.bind(client), release: () => {} };
  return { connect: async () => lent, end: async () => {}, options: {} } as unknown as PostgresPool;
}
