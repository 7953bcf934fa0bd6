/**
 * The ways to Postgres, proved when a process starts. `DATABASE_URL` may lead through a pooler in transaction mode: then
 * `DATABASE_DIRECT_URL` names the server itself, for what needs a separate session (prepared certificates, advisory locks,
 * temporary settings), and for what must not wait in the pooler's queue.
 */
import { isTandemError, TandemError } from '@tandem/freshness/errors';
import pg from 'pg';
import { type Db, driverUrl, query, sqlState, transaction, translated } from './database.ts';
import { serverAddresses } from './primary-pool.ts';
import { PLAN_METHODS } from './session-settings.ts';

export const DIRECT = 'DATABASE_DIRECT_URL';
const DOCUMENT = 'docs/postgres-connections.md, "Behind a pooler"';

/** The addresses of one database. */
export interface DatabasePaths {
  readonly url: string;
  /** The server itself, where `url` leads through a pooler in transaction mode. */
  readonly directUrl?: string | undefined;
  /** For statements that contain a feature query; `url` where it is left out. */
  readonly featuresUrl?: string | undefined;
}

/** Whether an address leads through a pooler in transaction mode: it is not that of the server which is named beside it. */
export function leadsThroughPooler(url: string, { directUrl = url }: Pick<DatabasePaths, 'directUrl'>): boolean {
  return hostsOf(url) !== hostsOf(directUrl);
}

/** The hosts and ports, also where there are several. */
function hostsOf(url: string): string | undefined {
  return /^\w+:\/\/(?:[^@/?]*@)?([^/?]*)/.exec(url)?.[1];
}

/** A pool of each path. */
interface Paths {
  readonly pool: pg.Pool;
  readonly features: pg.Pool;
  /** The pool of the server itself, without a pooler. */
  readonly vital: pg.Pool;
}

/**
 * Rejects with `config_invalid` if a path does not keep its promise: a separate session without a pooler, the same
 * database by each address, and on each the settings that results and acknowledgements rely on. With `unavailable` where a
 * server does not answer. The login of feature statements is features/feature-login.ts's to prove.
 */
export async function provePaths(paths: DatabasePaths, { pool, features, vital }: Paths): Promise<void> {
  const { url, directUrl, featuresUrl = url } = paths;
  await assertOwnSession(directUrl ?? url, directUrl === undefined ? 'DATABASE_URL' : DIRECT);
  // A pooler may lend sessions of one database for good and of another for a transaction, at one address.
  if (directUrl !== undefined && !leadsThroughPooler(url, paths)) await assertOwnSession(url, 'DATABASE_URL');
  await assertSettings('DATABASE_URL', pool);
  if (directUrl !== undefined) {
    await assertSettings(DIRECT, vital);
    await assertSameDatabase(pool, vital, DIRECT);
  }
  if (featuresUrl === url) return;
  const variable = 'FEATURES_DATABASE_URL';
  if (!leadsThroughPooler(featuresUrl, paths)) await assertOwnSession(featuresUrl, variable);
  await assertSettings(variable, features);
}

function refusal(field: string, message: string, remedy: string, cause?: unknown): TandemError {
  return new TandemError('config_invalid', message, { field, remedy: `${remedy}: ${DOCUMENT}`, cause });
}

// A pooler gives its clients keys of its own making, so that the number of a server process is not that of the key. Whether
// it lends the process for one transaction or for good is seen with a second client: nothing is set in a session meanwhile.

const PATIENCE_MS = 2_000;
/** A free process may be lent to another client between two looks. */
const LOOKS = 10;

/** Checks the first of several servers that answers. */
export async function assertOwnSession(url: string, variable: string): Promise<void> {
  const addresses = serverAddresses(url, variable);
  for (const [i, address] of addresses.entries()) {
    try {
      return await assertOwnSessionAt(address, variable);
    } catch (error) {
      if (i === addresses.length - 1 || !isTandemError(error, 'unavailable')) throw error;
    }
  }
}

async function assertOwnSessionAt(url: string, variable: string): Promise<void> {
  const clients = [createClient(url), createClient(url)] as const;
  try {
    const isShared = await sharesProcess(...clients);
    if (!isShared) return;
    const message = `${variable} leads through a pooler in transaction mode, which lends a session for one transaction.`;
    const direct = `set ${DIRECT} to the address of Postgres itself, in addition to ${variable}`;
    throw refusal(DIRECT, message, variable === DIRECT ? 'name Postgres itself there' : direct);
  } catch (error) {
    throw isRefusedByPooler(error) ? refusedByPooler(variable, error) : translated(error);
  } finally {
    await Promise.allSettled(clients.map((client) => client.end()));
  }
}

function createClient(url: string): pg.Client {
  const limits = { connectionTimeoutMillis: PATIENCE_MS, query_timeout: PATIENCE_MS };
  const client = new pg.Client({ connectionString: driverUrl(url), application_name: 'tandem-paths', ...limits });
  client.on('error', () => {});
  return client;
}

async function sharesProcess(one: pg.Client, other: pg.Client): Promise<boolean> {
  await one.connect();
  // The driver's types lack it.
  if ((await processOf(one)) === (one as unknown as { processID: number }).processID) return false;
  await other.connect();
  for (let look = 0; look < LOOKS; look++) {
    const before = await processOf(one);
    await other.query('begin');
    const held = await processOf(other);
    const after = await processOf(one);
    await other.query('rollback');
    if (held === before || after !== before) return true;
  }
  return false;
}

async function processOf(client: pg.Client): Promise<number | undefined> {
  return (await client.query<{ pid: number }>({ text: 'select pg_backend_pid() as pid' })).rows[0]?.pid;
}

/** A violation of the protocol: what a pooler says of start-up parameters and modes that it does not take. */
function isRefusedByPooler(error: unknown): error is pg.DatabaseError {
  return sqlState(error) === '08P01';
}

function refusedByPooler(variable: string, cause: pg.DatabaseError): TandemError {
  const remedy =
    'leave options out of the URL (alter role … set … instead), and let the pooler pool sessions or transactions';
  return refusal(
    variable,
    `The pooler at ${variable} refuses to work as Tandem needs: ${cause.message}`,
    remedy,
    cause,
  );
}

/** Settings that the meaning of our statements and of a commit depends on: forms as `current_setting` gives them. */
const RELIED_ON: Readonly<Record<string, RegExp>> = {
  synchronous_commit: /^on$/,
  datestyle: /^ISO\b/,
  intervalstyle: /^postgres$/,
  bytea_output: /^hex$/,
  extra_float_digits: /^1$/,
  client_encoding: /^UTF-?8$/,
  standard_conforming_strings: /^on$/,
  array_nulls: /^on$/,
  quote_all_identifiers: /^off$/,
  transaction_isolation: /^read committed$/,
  transaction_read_only: /^off$/,
  transaction_deferrable: /^off$/,
  ...Object.fromEntries(PLAN_METHODS.map((name) => [name, /^on$/])),
};

/** Alone and in a transaction: a pooled session gets its settings in different ways. */
async function assertSettings(variable: string, pool: pg.Pool): Promise<void> {
  try {
    for (const found of [await settingsOf(pool), await transaction(pool, settingsOf)]) {
      const wrong = found.find(({ name, value }) => !RELIED_ON[name]?.test(value));
      if (wrong) throw wrongSetting(variable, wrong);
    }
  } catch (error) {
    throw isRefusedByPooler(error) ? refusedByPooler(variable, error) : error;
  }
}

interface Setting {
  readonly name: string;
  readonly value: string;
  readonly role: string;
}

function settingsOf(db: Db): Promise<Setting[]> {
  return query<Setting>(db, {
    text: 'select name, current_setting(name) as value, current_user::text as role from unnest($1::text[]) name',
    values: [Object.keys(RELIED_ON)],
  });
}

function wrongSetting(variable: string, { name, value, role }: Setting): TandemError {
  const setting = name.replace(/^transaction_/, 'default_transaction_');
  const message = `Through ${variable} statements run with ${name} = ${value}, which Tandem cannot rely on.`;
  return refusal(variable, message, `alter role ${role} reset ${setting}, and the same of the database; see also`);
}

/** Rejects with `config_invalid` if `other` reaches another database than `pool`, or a standby. */
export async function assertSameDatabase(pool: pg.Pool, other: pg.Pool, field: string): Promise<{ user: string }> {
  const [ours, theirs] = [await readPlace(pool), await readPlace(other)];
  if (theirs.inRecovery) {
    const remedy = 'name the primary, as DATABASE_URL does: a version and what belongs to it are read in one statement';
    throw new TandemError('config_invalid', `${field} names a standby.`, { field, remedy });
  }
  if (ours.identity === theirs.identity) return theirs;
  const message = `${field} names another database than DATABASE_URL: ${theirs.name}, not ${ours.name}.`;
  throw new TandemError('config_invalid', message, {
    field,
    remedy: 'name the server and the database of DATABASE_URL',
  });
}

interface Place {
  /** Differs between any two databases, also of one cluster. */
  readonly identity: string;
  readonly name: string;
  readonly user: string;
  readonly inRecovery: boolean;
}

/**
 * Not by host and port: a pooler or another name may lead to the same server. Not by its system identifier: providers close
 * pg_control_system.
 */
async function readPlace(pool: pg.Pool): Promise<Place> {
  const [place] = await query<Place>(pool, {
    text: `select concat_ws('/', extract(epoch from pg_postmaster_start_time()), d.oid) as identity,
      concat_ws(':', inet_server_addr(), inet_server_port()) || '/' || d.datname as name, current_user::text as user,
      pg_is_in_recovery() as "inRecovery"
      from pg_catalog.pg_database d where d.datname = current_database()`,
  });
  if (!place) throw new Error('Postgres answered no row');
  return place;
}
