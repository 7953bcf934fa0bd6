/**
 * Runs transactions of long statements that may no longer be needed before they end: a cancelled run must not keep
 * Postgres busy. The statement is cancelled at the server, from another connection. Its own connection is then closed.
 * The server ends any statement that still runs on it within a second (client_connection_check_interval), and no late
 * cancel can reach its next user.
 */
import type pg from 'pg';
import { query, transaction } from '../sql/database.ts';
import { readOnly } from './feature-session.ts';

export interface Cancellable {
  /** The time limit of the whole transaction in ms. */
  readonly timeoutMs: number;
  /** When it aborts, the current statement is ended, and the transaction rejects with the signal's reason. */
  readonly signal: AbortSignal;
}

/** The error of a transaction that exceeded its time limit. */
export class TransactionTooLong extends Error {
  constructor(timeoutMs: number) {
    super(`not done within ${timeoutMs} ms`);
  }
}

/** How long a cancelled statement may take to end before its connection is closed. */
const GRACE_MS = 1_000;

type Work<T> = (db: pg.PoolClient) => Promise<T>;
type RunTransaction = <T>(pool: pg.Pool, work: Work<T>) => Promise<T>;

/** Runs `work` in one transaction that may write. */
export function cancellable<T>(pool: pg.Pool, options: Cancellable, work: Work<T>): Promise<T> {
  return limited(transaction, pool, options, work);
}

/** Runs `work` in one read-only transaction, like `readOnly`, since its statements contain SQL of users. */
export function cancellableRead<T>(pool: pg.Pool, options: Cancellable, work: Work<T>): Promise<T> {
  return limited(readOnly, pool, options, work);
}

async function limited<T>(
  inTransaction: RunTransaction,
  pool: pg.Pool,
  { timeoutMs, signal }: Cancellable,
  work: Work<T>,
): Promise<T> {
  const clock = new AbortController();
  const timer = setTimeout(() => clock.abort(new TransactionTooLong(timeoutMs)), timeoutMs);
  const ended = AbortSignal.any([signal, clock.signal]);
  try {
    return await inTransaction(pool, async (db) => {
      ended.throwIfAborted();
      const pid = await beginLimited(db, timeoutMs + GRACE_MS);
      return await untilAborted(pool, { db, pid }, ended, work);
    });
  } catch (error) {
    ended.throwIfAborted();
    throw error;
  } finally {
    clearTimeout(timer);
  }
}

/**
 * Sets the time limit after which the server ends a statement, even if this process dies or hangs. Returns the server's
 * process id.
 */
async function beginLimited(db: pg.PoolClient, timeoutMs: number): Promise<number | undefined> {
  const [backend] = await query<{ pid: number }>(db, {
    text: `select pg_backend_pid() as pid, set_config('statement_timeout', $1, true)`,
    values: [`${timeoutMs}ms`],
  });
  return backend?.pid;
}

interface Backend {
  readonly db: pg.PoolClient;
  readonly pid: number | undefined;
}

/**
 * Runs `work` without a time limit until the signal aborts, then cancels its statement. The grace period begins with
 * the cancel, so `within` does not fit here.
 */
async function untilAborted<T>(pool: pg.Pool, { db, pid }: Backend, signal: AbortSignal, work: Work<T>): Promise<T> {
  const { promise: gone, reject } = Promise.withResolvers<never>();
  gone.catch(() => undefined);
  let grace: NodeJS.Timeout | undefined;
  const cancel = () => {
    const text = 'select pg_cancel_backend($1)';
    query(pool, { text, values: [pid], withinMs: GRACE_MS }).catch(() => undefined);
    grace = setTimeout(() => reject(new Error('the statement did not end')), GRACE_MS);
  };
  signal.addEventListener('abort', cancel, { once: true });
  if (signal.aborted) cancel();
  const working = work(db);
  working.catch(() => undefined);
  try {
    const result = await Promise.race([working, gone]);
    signal.throwIfAborted();
    return result;
  } catch (error) {
    // createPool closes a connection if its error begins with these words.
    throw signal.aborted ? new Error('Connection terminated: the transaction was given up', { cause: error }) : error;
  } finally {
    clearTimeout(grace);
    signal.removeEventListener('abort', cancel);
  }
}
