/**
 * The settings that our statements rely on. A role, a database or a server may have other defaults. On a connection of our
 * own they are made once, before it is lent. A pooler in transaction mode lends a session for one transaction, and other
 * clients leave their settings in it: there they are made in each transaction, in the same message as its begin. Sent as
 * statements, not as start-up parameters: poolers such as PgBouncer refuse those.
 *
 * Not set: `search_path`, `TimeZone`, `work_mem` and costs. Feature queries may mean them as the role has them, and ours do
 * not depend on them.
 */
import { TandemError } from '@tandem/freshness/errors';
import pg from 'pg';

/** Milliseconds. */
interface SessionLimits {
  readonly statementTimeoutMs: number;
  readonly lockTimeoutMs: number;
  readonly idleInTransactionMs: number;
}

export const PLAN_METHODS = [
  ...['bitmapscan', 'hashagg', 'hashjoin', 'indexonlyscan', 'indexscan', 'material', 'memoize', 'mergejoin'],
  ...['nestloop', 'partition_pruning', 'seqscan', 'sort'],
].map((method) => `enable_${method}`);

const SETTINGS = {
  // What a value looks like as text: the driver's parsers and our own read these forms alone.
  datestyle: 'ISO',
  intervalstyle: 'postgres',
  bytea_output: 'hex',
  // Doubles that keep every bit.
  extra_float_digits: '1',
  client_encoding: 'UTF8',
  // What a text means: our literals, the driver's arrays, the names that Postgres quotes.
  standard_conforming_strings: 'on',
  array_nulls: 'on',
  quote_all_identifiers: 'off',
  // Transactions: statements that wait for each other must see each other's commits, and write.
  default_transaction_isolation: 'read committed',
  default_transaction_read_only: 'off',
  default_transaction_deferrable: 'off',
  // An acknowledgement means a durable commit.
  synchronous_commit: 'on',
  // Connections in a pool are idle for long; a statement's error ends the statement, not the session.
  idle_session_timeout: '0',
  exit_on_error: 'off',
  // A statement whose client has disconnected ends instead of running on.
  client_connection_check_interval: '1000',
  // Plans: compiling one takes longer (0.9 s measured for a certificate) than most of our statements run.
  jit: 'off',
  plan_cache_mode: 'auto',
  // Without index scans, say, each certificate would read every context.
  ...Object.fromEntries(PLAN_METHODS.map((name) => [name, 'on'])),
};

interface SetUp {
  /** Milliseconds that a silent server may take. */
  readonly withinMs: number;
  /** The environment variable that names the server, for the message about a refusal. */
  readonly variable: string;
}

/** Makes the settings. Rejects with `config_invalid` if Postgres refuses one. */
export async function setUpSession(client: pg.ClientBase, limits: SessionLimits, setUp: SetUp): Promise<void> {
  // One message of many statements: one round trip. The limits first, since the role's own may be short.
  const text = [
    ...Object.entries({ ...namedLimits(limits), ...SETTINGS }).map(([name, value]) => `set ${name} = '${value}'`),
    TRANSACTION_TIMEOUT,
  ].join('; ');
  await client.query({ text, query_timeout: setUp.withinMs } as pg.QueryConfig).catch((error: unknown) => {
    throw isRefused(error) ? refusal(error, setUp.variable) : error;
  });
}

/** Whether Postgres refused a setting's name or value, or the right to make it; it refuses every time. */
function isRefused(error: unknown): error is pg.DatabaseError {
  return error instanceof pg.DatabaseError && /^(22|42)/.test(error.code ?? '');
}

function refusal(cause: pg.DatabaseError, variable: string): TandemError {
  return new TandemError('config_invalid', `Postgres refuses a setting that Tandem relies on: ${cause.message}`, {
    field: variable,
    remedy: 'connect to Postgres 15 or newer itself, or through a pooler in session mode',
    cause,
  });
}

/** Settings of connections whose sessions a pooler lends for a transaction each. */
interface Frame {
  readonly settings: string;
  /** `set local …; set local …` */
  readonly local: string;
}
const frames = new WeakMap<object, Frame>();

/**
 * Settings that are not set in each transaction: they have no meaning there, its begin sets them, or a process's start
 * proves them (paths.ts). All of them took Postgres 0.4 ms a statement, the others 0.2 ms.
 */
const NOT_IN_TRANSACTIONS =
  /^(default_transaction_|idle_session_timeout$|exit_on_error$|plan_cache_mode$|enable_|quote_)/;

/** Returns what marks a connection as one whose session a pooler lends. Nothing is sent. */
export function lentSession(limits: SessionLimits): (client: object) => Promise<void> {
  const all = Object.entries({ ...namedLimits(limits), ...SETTINGS }).filter(
    ([name]) => !NOT_IN_TRANSACTIONS.test(name),
  );
  const [names, values] = [all.map(([name]) => name), all.map(([, value]) => value)];
  const frame = {
    settings: `select from unnest('{${names}}'::text[], '{${values}}'::text[]) as s(name, value)
      where set_config(name, value, true) is null`,
    local: all.map(([name, value]) => `set local ${name} = '${value}'`).join('; '),
  };
  return async (client) => void frames.set(client, frame);
}

/** The statement, without rows, that makes our settings for its transaction; undefined if the session is the connection's own. */
export function frameOf(client: object): string | undefined {
  return frames.get(client)?.settings;
}

/** Returns the text that begins a transaction on this connection, by the simple protocol. */
export function beginOf(client: object, begin = 'begin'): string {
  const frame = frames.get(client);
  return frame === undefined ? begin : `${begin === 'begin' ? BEGIN : begin}; ${frame.local}`;
}

/** A session's own default may be another. */
const BEGIN = 'begin isolation level read committed read write not deferrable';

function namedLimits({ statementTimeoutMs, lockTimeoutMs, idleInTransactionMs }: SessionLimits) {
  return {
    statement_timeout: `${statementTimeoutMs}`,
    lock_timeout: `${lockTimeoutMs}`,
    idle_in_transaction_session_timeout: `${idleInTransactionMs}`,
  };
}

/** Sets `transaction_timeout`, which exists since Postgres 17. */
const TRANSACTION_TIMEOUT = `select set_config('transaction_timeout', '0', false)
  where current_setting('transaction_timeout', true) <> '0'`;
