/**
 * Checks the paths to Postgres when a process starts. `DATABASE_URL` may lead through a pooler in transaction mode.
 * Then `DATABASE_DIRECT_URL` names the server itself, for statements that need a separate session (prepared
 * certificates, advisory locks, temporary settings), and for statements that must not wait in the pooler's queue.
 */
import { isTandemError, TandemError } from '@tandem/freshness/errors';
import pg from 'pg';
import { type Db, driverUrl, query, queryOne, sqlState, transaction, translated } from './database.ts';
import { serverAddresses } from './primary-pool.ts';
import { PLAN_METHODS } from './session-settings.ts';

export const DIRECT = 'DATABASE_DIRECT_URL';
const DOCUMENT = 'docs/postgres-connections.md, "Behind a pooler"';

/** The addresses of one database. */
export interface DatabasePaths {
  readonly url: string;
  /** The address of the server itself, if `url` leads through a pooler in transaction mode. */
  readonly directUrl?: string | undefined;
  /** The address for statements that contain a feature query; default: `url`. */
  readonly featuresUrl?: string | undefined;
}

/**
 * Returns whether an address leads through a pooler in transaction mode: if a direct address is given, and it differs.
 */
export function leadsThroughPooler(url: string, { directUrl = url }: Pick<DatabasePaths, 'directUrl'>): boolean {
  return hostsOf(url) !== hostsOf(directUrl);
}

/** Returns the hosts and ports of one or several servers. */
function hostsOf(url: string): string | undefined {
  return /^\w+:\/\/(?:[^@/?]*@)?([^/?]*)/.exec(url)?.[1];
}

/** The pools of a process, one for each path to Postgres. */
interface Paths {
  readonly pool: pg.Pool;
  readonly features: pg.Pool;
  /** The pool of the server itself, without a pooler. */
  readonly vital: pg.Pool;
}

/**
 * Checks all paths. Rejects with `config_invalid` if a direct path has no separate session, if two addresses lead to
 * different databases, or if a path lacks settings that results and acknowledgements depend on. Rejects with
 * `unavailable` if a server does not answer. features/feature-login.ts checks the login of feature statements.
 */
export async function provePaths(paths: DatabasePaths, { pool, features, vital }: Paths): Promise<void> {
  const { url, directUrl, featuresUrl = url } = paths;
  await assertOwnSession(directUrl ?? url, directUrl === undefined ? 'DATABASE_URL' : DIRECT);
  // At one address, a pooler may lend sessions of one database permanently and of another for a transaction.
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

// A pooler gives its clients its own keys, so the number of the server process differs from that of the key. A second
// client shows whether the pooler lends the process for one transaction or permanently, without any setting in the
// session.

const PATIENCE_MS = 2_000;
/** The number of checks, since a free process may be lent to another client between two of them. */
const LOOKS = 10;

/**
 * Rejects unless an address gives each client a separate session. Of several servers, checks the first that answers.
 */
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
    throw refusal(DIRECT, message, variable === DIRECT ? `set ${DIRECT} to the address of Postgres itself` : direct);
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
  // The driver's types lack `processID`.
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

/**
 * Returns whether an error is a protocol violation, which a pooler reports for parameters and modes that it does not
 * accept.
 */
function isRefusedByPooler(error: unknown): error is pg.DatabaseError {
  return sqlState(error) === '08P01';
}

function refusedByPooler(variable: string, cause: pg.DatabaseError): TandemError {
  const remedy =
    'leave options out of the URL (alter role … set … instead), and let the pooler pool sessions or transactions';
  return refusal(
    variable,
    `The pooler at ${variable} does not support what Tandem needs: ${cause.message}`,
    remedy,
    cause,
  );
}

/** Settings that the meaning of statements and commits depends on, in the form of `current_setting`. */
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

/** Checks the settings of single statements and of transactions, since a lent session gets them in different ways. */
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
  return refusal(
    variable,
    message,
    `run alter role ${role} reset ${setting}, and alter database … reset ${setting}; see also`,
  );
}

/** Rejects with `config_invalid` if `other` reaches another database than `pool`, or a standby. */
export async function assertSameDatabase(pool: pg.Pool, other: pg.Pool, field: string): Promise<{ user: string }> {
  const [ours, theirs] = [await readPlace(pool), await readPlace(other)];
  if (theirs.inRecovery) {
    const remedy = 'set it to the primary, like DATABASE_URL, since features and versions are read in one statement';
    throw new TandemError('config_invalid', `${field} names a standby.`, { field, remedy });
  }
  if (ours.identity === theirs.identity) return theirs;
  const message = `${field} names another database than DATABASE_URL: ${theirs.name}, not ${ours.name}.`;
  throw new TandemError('config_invalid', message, {
    field,
    remedy: 'set it to the server and the database of DATABASE_URL',
  });
}

interface Place {
  /** A value that differs between any two databases, even of one cluster. */
  readonly identity: string;
  readonly name: string;
  readonly user: string;
  readonly inRecovery: boolean;
}

/**
 * Returns the identity of the database. Host and port are not compared, since a pooler or another name may lead to the
 * same server. The system identifier is not compared, since providers do not allow pg_control_system.
 */
function readPlace(pool: pg.Pool): Promise<Place> {
  return queryOne<Place>(pool, {
    text: `select concat_ws('/', extract(epoch from pg_postmaster_start_time()), d.oid) as identity,
      concat_ws(':', inet_server_addr(), inet_server_port()) || '/' || d.datname as name, current_user::text as user,
      pg_is_in_recovery() as "inRecovery"
      from pg_catalog.pg_database d where d.datname = current_database()`,
  });
}
