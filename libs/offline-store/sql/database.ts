/**
 * Connections to Postgres. Every statement has a time limit on both sides: a server that stops answering costs its
 * callers that time and a connection, but never hangs the process. Failures of the connection (not of the statement)
 * become `unavailable`.
 */
import { isTandemError, TandemError } from '@tandem/freshness/errors';
import { within } from '@tandem/timing/within';
import pg from 'pg';
import { FramedQuery } from './driver-connection.ts';
import { createPrimaryPool, serverAddresses } from './primary-pool.ts';
import { beginOf, frameOf, lentSession, setUpSession } from './session-settings.ts';

/** The first argument of every query function: a pool, or a client inside a transaction. */
export interface Db {
  query<R extends pg.QueryResultRow>(config: pg.QueryConfig): Promise<pg.QueryResult<R>>;
}

/** Connections to a database. */
export type Pool = pg.Pool;

export interface PoolOptions {
  /** A postgres:// URL with one server, or with several separated by commas. */
  readonly url: string;
  readonly max?: number;
  /** The number of idle connections that stay open; default: none. */
  readonly min?: number;
  /** Whether a pooler lends the sessions for one transaction each, so that no setting may outlive a transaction. */
  readonly throughPooler?: boolean;
  /** The environment variable with the address, for messages; default DATABASE_URL. */
  readonly variable?: string;
  /** The name in pg_stat_activity. */
  readonly applicationName: string;
  /** The time limit of a statement in Postgres, in ms. */
  readonly statementTimeoutMs?: number;
  /** The time limit for a lock in Postgres, in ms. */
  readonly lockTimeoutMs?: number;
  /** The longest wait for a new or used connection in ms. Its set-up has the same limit again. */
  readonly connectTimeoutMs?: number;
}

const CONNECT_TIMEOUT_MS = 2_000;
const IDLE_IN_TRANSACTION_MS = 30_000;
/** How much longer than a statement's limit a connection is kept. Only a stopped server exceeds it. */
const CLIENT_GRACE_MS = 2_000;
/** The mean lifetime of a connection: an hour. */
const LIFETIME_MS = 3_600_000;

/**
 * Returns the lifetime of a connection in ms, plus or minus a quarter, so that connections do not close together. It is
 * limited to follow changed addresses and to release the memory of server processes.
 */
export function lifetimeMs(): number {
  return LIFETIME_MS * (0.75 + Math.random() / 2);
}

export function createPool(options: PoolOptions): pg.Pool {
  const { url, max = 10, min = 0, applicationName, statementTimeoutMs = 30_000, lockTimeoutMs = 10_000 } = options;
  const { connectTimeoutMs = CONNECT_TIMEOUT_MS, variable = 'DATABASE_URL', throughPooler = false } = options;
  const limits = { statementTimeoutMs, lockTimeoutMs, idleInTransactionMs: IDLE_IN_TRANSACTION_MS };
  const config: pg.PoolConfig = {
    max,
    min,
    application_name: applicationName,
    connectionTimeoutMillis: connectTimeoutMs,
    idleTimeoutMillis: 60_000,
    query_timeout: statementTimeoutMs + CLIENT_GRACE_MS,
    keepAlive: true,
    types: { getTypeParser },
    // The pool waits for this promise. If it rejects, the pool closes the connection.
    onConnect: throughPooler
      ? lentSession(limits)
      : (client) => setUpSession(client, limits, { withinMs: connectTimeoutMs, variable }),
  };
  const pool = createPrimaryPool(serverAddresses(url, variable).map(driverUrl), config, isConnectionFailure);
  // The pool reads the lifetime for each new connection.
  Object.defineProperty(pool.options, 'maxLifetimeSeconds', { get: () => lifetimeMs() / 1_000 });
  // The statement reports a broken connection. Without a listener the error would end the process.
  pool.on('error', () => {});
  pool.on('connect', (client) => client.on('error', () => {}));
  if (throughPooler) lending.add(pool);
  return pool;
}

/** Pools with sessions that a pooler lends. Their errors name the pooler. */
const lending = new WeakSet<pg.Pool>();

/** Parameters that the driver would take from the URL instead of from this module, and send at start-up. */
const OURS = [
  'statement_timeout',
  'query_timeout',
  'lock_timeout',
  'idle_in_transaction_session_timeout',
  'client_encoding',
];

/** Values that the driver treats as `verify-full`, after a long warning on standard error. */
const VERIFIED = ['prefer', 'require', 'verify-ca'];

/** Returns the URL without the settings that this module makes. Its `options` stay, since they set further values. */
export function driverUrl(url: string): string {
  const [address = '', search = ''] = url.split(/\?(.*)/s);
  const parameters = new URLSearchParams(search);
  const isVerified = VERIFIED.includes(parameters.get('sslmode') ?? '') && !parameters.has('uselibpqcompat');
  if (!isVerified && !OURS.some((name) => parameters.has(name))) return url;
  for (const name of OURS) parameters.delete(name);
  if (isVerified) parameters.set('sslmode', 'verify-full');
  return parameters.size === 0 ? address : `${address}?${parameters}`;
}

/** Returns an int8 as a number if a double holds it exactly, else as its text. */
export function parseInt8(text: string): number | string {
  const number = Number(text);
  return Number.isSafeInteger(number) ? number : text;
}

type TypeParser = ReturnType<typeof pg.types.getTypeParser>;

function getTypeParser(oid: number, format?: 'text' | 'binary'): TypeParser {
  if (oid === pg.types.builtins.INT8 && format !== 'binary') return parseInt8;
  return pg.types.getTypeParser(oid, format as 'text');
}

export interface Statement {
  /** The name under which a connection prepares the statement: at most 63 bytes, one text per name. */
  readonly name?: string;
  readonly text: string;
  readonly values?: readonly unknown[];
  /** The time limit of the client in ms. `limitStatements` sets the limit in Postgres. */
  readonly timeoutMs?: number;
  /**
   * The milliseconds after which the caller gets `unavailable`, including the wait for a connection, for callers with
   * an alternative to a silent server. The statement continues in the server up to its time limit, or until a silent
   * connection is closed. It has no effect inside a transaction.
   */
  readonly withinMs?: number | undefined;
}

/**
 * Runs one statement by the extended protocol, which rejects a text with several statements. Errors are translated by
 * `translated`.
 */
export async function query<R extends object>(db: Db, statement: Statement): Promise<R[]> {
  return (await execute(db, statement)).rows as R[];
}

/** Returns the first row of a statement; undefined if it has none. */
export async function queryFirst<R extends object>(db: Db, statement: Statement): Promise<R | undefined> {
  const [row]: R[] = await query(db, statement);
  return row;
}

/** Returns the row of a statement that always has one, such as a select of aggregates. */
export async function queryOne<R extends object>(db: Db, statement: Statement): Promise<R> {
  const row: R | undefined = await queryFirst(db, statement);
  if (row) return row;
  throw new Error('Postgres answered no row');
}

/** Returns the number of rows that a statement changed. */
export async function countChanged(db: Db, statement: Statement): Promise<number> {
  return (await execute(db, statement)).rowCount ?? 0;
}

/** Returns a list of each of these fields, for a statement that joins the lists with `unnest`. */
export function listsOf<T, K extends keyof T>(rows: readonly T[], ...fields: readonly K[]): T[K][][] {
  return fields.map((field) => rows.map((row) => row[field]));
}

/** The driver's types lack this mode. Without it, a statement without values would use the simple protocol. */
type ExtendedConfig = pg.QueryConfig & { readonly queryMode: 'extended' };

/** Runs a statement like `query`, and returns the full result. */
export async function execute(db: Db, statement: Statement): Promise<pg.QueryResult> {
  const { timeoutMs, withinMs, values = [], ...rest } = statement;
  const limit = timeoutMs === undefined ? {} : { query_timeout: timeoutMs + CLIENT_GRACE_MS };
  const config: ExtendedConfig = { ...rest, ...limit, values: [...values], queryMode: 'extended' };
  if (!(db instanceof pg.Pool)) return db.query(unnamedIn(db, config)).catch(rethrow(frameOf(db) !== undefined));
  if (withinMs !== undefined) return executeWithin(db, config, withinMs);
  // pool.query would close the connection on any error, even if only the statement was at fault.
  return withClient(db, (client) => send(client, config));
}

/** Runs a single statement, with the settings in the same message if a pooler lends the session. */
function send(client: pg.PoolClient, config: pg.QueryConfig): Promise<pg.QueryResult> {
  const settings = frameOf(client);
  if (settings === undefined) return client.query(config);
  const { promise, resolve, reject } = Promise.withResolvers<pg.QueryResult>();
  const done = (error: Error | undefined, result: pg.QueryResult) => (error ? reject(error) : resolve(result));
  client.query(new FramedQuery(unnamedIn(client, config), done, { before: [settings], after: [] }));
  return promise;
}

/** Returns a statement that stays unprepared in a pooler's session, where it would disturb other clients. */
function unnamedIn(db: Db, { name, ...rest }: pg.QueryConfig): pg.QueryConfig {
  return name === undefined || frameOf(db) ? rest : { name, ...rest };
}

async function executeWithin(pool: pg.Pool, config: pg.QueryConfig, withinMs: number): Promise<pg.QueryResult> {
  const deadline = performance.now() + withinMs;
  const asked = withClient(pool, (client) => {
    const left = deadline - performance.now();
    // No caller waits any more. The connection was opened late, but is usable.
    if (left <= 0) throw tooLate(withinMs);
    // The caller fails when its time is over, but the connection gets more time: a slow server should not have to open
    // new connections, too. Only a connection that stays silent is dead.
    return send(client, { ...config, query_timeout: left + CLIENT_GRACE_MS } as pg.QueryConfig);
  });
  return within(withinMs, asked, () => tooLate(withinMs));
}

/** Lends a connection. It is closed if it broke or stopped answering. */
export async function withClient<T>(pool: pg.Pool, use: (client: pg.PoolClient) => Promise<T>): Promise<T> {
  const client = await pool.connect().catch(rethrow(lending.has(pool)));
  try {
    const result = await use(client);
    client.release();
    return result;
  } catch (error) {
    client.release(isConnectionFailure(error));
    throw translated(error, lending.has(pool));
  }
}

/**
 * Runs `work` in one transaction. Rejects with `unavailable` if the connection fails, even at the commit, when the
 * result of the commit is unknown.
 */
export async function transaction<T>(pool: pg.Pool, work: (db: pg.PoolClient) => Promise<T>): Promise<T> {
  const client = await pool.connect().catch(rethrow(lending.has(pool)));
  try {
    await client.query(beginOf(client));
    const result = await work(client);
    await client.query('commit');
    client.release();
    return result;
  } catch (error) {
    await abandon(client, error);
    throw translated(error, lending.has(pool));
  }
}

/** Sets the time limit of this transaction's statements, which replaces the pool's limit. */
export async function limitStatements(db: Db, timeoutMs: number): Promise<void> {
  await query(db, { text: `select set_config('statement_timeout', $1, true)`, values: [`${timeoutMs}ms`] });
}

async function abandon(client: pg.PoolClient, error: unknown): Promise<void> {
  if (isConnectionFailure(error)) return client.release(true);
  await client.query('rollback').then(
    () => client.release(),
    () => client.release(true),
  );
}

/**
 * SQLSTATE classes and codes of a server that cannot serve now: connection, login, shutdown, absent database.
 */
const CONNECTION_SQLSTATE = /^(08|28|57P|25P03|25P04|3D000)/;
/** Node's error codes of sockets and of rejected certificates. */
const CONNECTION_CODE = /^(E[A-Z]|CERT_|DEPTH_ZERO_|SELF_SIGNED_|UNABLE_TO_)/;
/** 53400 is not included: a limit such as temp_file_limit would be exceeded again. */
const BUSY_SQLSTATE = /^(53(?!400)|55P03|57014|25006|40P01|40001)/;
const CONNECTION_MESSAGE =
  /^(Connection terminated|The server does not support SSL|timeout exceeded when trying|timeout expired$|Query read timeout|Client has encountered a connection error|Cannot use a pool after|Client was closed)/;

/** Returns whether the connection itself is no longer usable. */
export function isConnectionFailure(error: unknown): boolean {
  if (isTandemError(error)) return isConnectionFailure(error.cause);
  // The connection leads to a standby, and must be closed.
  if (isStandby(error)) return true;
  if (!(error instanceof Error)) return false;
  const code = sqlState(error);
  if (code !== undefined) return CONNECTION_SQLSTATE.test(code);
  // For a name with several addresses the error has only a code.
  return ('code' in error && CONNECTION_CODE.test(String(error.code))) || CONNECTION_MESSAGE.test(error.message);
}

/**
 * Returns the error for callers: `unavailable` if a retry may succeed, else the unchanged error.
 * @param throughPooler whether a pooler is in between, which may be the part that does not answer
 */
export function translated(error: unknown, throughPooler = false): unknown {
  if (isTandemError(error)) return error;
  const isBroken = isConnectionFailure(error);
  if (!isBroken && !BUSY_SQLSTATE.test(sqlState(error) ?? '')) return error;
  const detail = error instanceof Error ? error.message : String(error);
  return unavailable(detail, error, isBroken && throughPooler ? 'through its pooler ' : '');
}

/** Returns the error for a caller that waited this many milliseconds. */
export function tooLate(afterMs: number): TandemError {
  return unavailable(`no answer within ${afterMs} ms`);
}

function unavailable(detail: string, cause?: unknown, path = ''): TandemError {
  return new TandemError('unavailable', `The database does not answer ${path}at the moment.`, {
    ...{ cause, detail },
    retryAfter: 1,
  });
}

/** The functions of Postgres that raise the error. Messages may be in another language (lc_messages). */
const NOT_NOW = ['pg_current_wal_insert_lsn', 'CheckMyDatabase'];

/** Returns whether the server is a standby, or the database is being copied and rejects connections. */
function isStandby(error: unknown): boolean {
  if (!(error instanceof pg.DatabaseError) || error.code !== '55000') return false;
  return NOT_NOW.includes(error.routine ?? '') || error.message.includes('recovery is in progress');
}

function rethrow(throughPooler: boolean): (error: unknown) => never {
  return (error) => {
    throw translated(error, throughPooler);
  };
}

/** Returns the SQLSTATE of an error from Postgres, or of the cause of a translated error. */
export function sqlState(error: unknown): string | undefined {
  if (isTandemError(error)) return sqlState(error.cause);
  return error instanceof pg.DatabaseError ? error.code : undefined;
}

/** Returns SQL of a timestamptz expression in whole milliseconds since 1970, as a double. */
export function epochMs(expression: string): string {
  return `floor(extract(epoch from ${expression}) * 1000)::float8`;
}
