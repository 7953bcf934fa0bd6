/**
 * The settings that Tandem's statements depend on. A role, a database or a server may have other defaults. On a
 * connection without a pooler they are set once, before the connection is used. A pooler in transaction mode lends a
 * session for one transaction, and other clients leave their settings in it. There they are set in each transaction, in
 * the same message as its begin. They are sent as statements, not as start-up parameters, which poolers such as
 * PgBouncer reject.
 *
 * `search_path`, `TimeZone`, `work_mem` and costs are not set. Feature queries may depend on the role's values, and
 * Tandem's statements do not.
 */
import { TandemError } from '@tandem/freshness/errors';
import pg from 'pg';

/** The time limits of a session, in ms. */
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
  // Text forms of values: the driver's and Tandem's parsers read only these forms.
  datestyle: 'ISO',
  intervalstyle: 'postgres',
  bytea_output: 'hex',
  // Doubles are written exactly.
  extra_float_digits: '1',
  client_encoding: 'UTF8',
  // Meaning of texts: Tandem's literals, the driver's arrays, the names that Postgres quotes.
  standard_conforming_strings: 'on',
  array_nulls: 'on',
  quote_all_identifiers: 'off',
  // Transactions: a statement that waits for another must see its commit, and must be able to write.
  default_transaction_isolation: 'read committed',
  default_transaction_read_only: 'off',
  default_transaction_deferrable: 'off',
  // An acknowledgement means a durable commit.
  synchronous_commit: 'on',
  // Connections in a pool may be idle for long, and an error ends the statement, not the session.
  idle_session_timeout: '0',
  exit_on_error: 'off',
  // A statement whose client has disconnected ends instead of running on.
  client_connection_check_interval: '1000',
  // Plans: compiling a plan takes longer (0.9 s measured for a certificate) than most statements run.
  jit: 'off',
  plan_cache_mode: 'auto',
  // For example, without index scans each certificate would read every context.
  ...Object.fromEntries(PLAN_METHODS.map((name) => [name, 'on'])),
};

interface SetUp {
  /** The time limit for a silent server in ms. */
  readonly withinMs: number;
  /** The environment variable with the address, for error messages. */
  readonly variable: string;
}

/** Makes the settings. Rejects with `config_invalid` if Postgres rejects one. */
export async function setUpSession(client: pg.ClientBase, limits: SessionLimits, setUp: SetUp): Promise<void> {
  // All statements are sent in one message, for one round trip. The time limits come first, since the role's limits may
  // be short.
  const text = [
    ...Object.entries({ ...namedLimits(limits), ...SETTINGS }).map(([name, value]) => `set ${name} = '${value}'`),
    TRANSACTION_TIMEOUT,
  ].join('; ');
  await client.query({ text, query_timeout: setUp.withinMs } as pg.QueryConfig).catch((error: unknown) => {
    throw isRefused(error) ? refusal(error, setUp.variable) : error;
  });
}

/** Returns whether Postgres rejected a setting's name or value, or the right to set it. A retry does not help. */
function isRefused(error: unknown): error is pg.DatabaseError {
  return error instanceof pg.DatabaseError && /^(22|42)/.test(error.code ?? '');
}

function refusal(cause: pg.DatabaseError, variable: string): TandemError {
  return new TandemError('config_invalid', `Postgres rejects a setting that Tandem relies on: ${cause.message}`, {
    field: variable,
    remedy: 'connect to Postgres 15 or newer itself, or through a pooler in session mode',
    cause,
  });
}

/** The settings of connections with sessions that a pooler lends for one transaction each. */
interface Frame {
  readonly settings: string;
  /** `set local …; set local …` */
  readonly local: string;
}
const frames = new WeakMap<object, Frame>();

/**
 * Settings that are not set in each transaction. Each has no effect there, or is set by the begin, or is checked when a
 * process starts (paths.ts). Setting all settings took Postgres 0.4 ms per statement; setting the others takes 0.2 ms.
 */
const NOT_IN_TRANSACTIONS =
  /^(default_transaction_|idle_session_timeout$|exit_on_error$|plan_cache_mode$|enable_|quote_)/;

/** Returns a function that marks a connection as one with a lent session. Nothing is sent. */
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

/**
 * Returns a statement without rows that makes the settings for its transaction; undefined if the session is not lent.
 */
export function frameOf(client: object): string | undefined {
  return frames.get(client)?.settings;
}

/** Returns the text that begins a transaction on this connection, by the simple protocol. */
export function beginOf(client: object, begin = 'begin'): string {
  const frame = frames.get(client);
  return frame === undefined ? begin : `${begin === 'begin' ? BEGIN : begin}; ${frame.local}`;
}

/** The modes are explicit, since a session may have another default. */
const BEGIN = 'begin isolation level read committed read write not deferrable';

function namedLimits({ statementTimeoutMs, lockTimeoutMs, idleInTransactionMs }: SessionLimits) {
  return {
    statement_timeout: `${statementTimeoutMs}`,
    lock_timeout: `${lockTimeoutMs}`,
    idle_in_transaction_session_timeout: `${idleInTransactionMs}`,
  };
}

/** SQL that sets `transaction_timeout`, which exists since Postgres 17. */
const TRANSACTION_TIMEOUT = `select set_config('transaction_timeout', '0', false)
  where current_setting('transaction_timeout', true) <> '0'`;
