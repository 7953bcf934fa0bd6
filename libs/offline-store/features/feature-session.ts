/**
 * Runs a predictor's own SQL. The text comes from a user, so each statement that contains it
 * - is sent by the extended protocol, which accepts one statement per text;
 * - runs in a read-only transaction, which no statement can leave;
 * - ends in a rollback, which undoes session settings of the query (`set_config`) for the next query.
 *
 * An error of the query itself is a `FeatureQueryFailed`, with the message of Postgres (query-fault.ts).
 *
 * `parseOnly` is for statements that Postgres only parses.
 */
import { within } from '@tandem/timing/within';
import type pg from 'pg';
import { isConnectionFailure, withClient } from '../sql/database.ts';
import {
  type DriverConnection,
  execute,
  FramedQuery,
  type ReadStatement,
  sendWithoutLimit,
  submit,
} from '../sql/driver-connection.ts';
import { queryFault } from '../sql/query-fault.ts';
import { beginOf, frameOf } from '../sql/session-settings.ts';

/** The pools of a use case that reads features and writes results. */
export interface Pools {
  readonly pool: pg.Pool;
  /** The pool of feature statements. It may use another login, and no other statement uses its connections. */
  readonly features: pg.Pool;
}

/** The isolation level is explicit, since a role may have another default. */
const BEGIN = 'begin isolation level read committed read only';

export type LimitedStatement = ReadStatement & { readonly timeoutMs: number };

/** Runs one statement. Begin, statement and rollback are sent together: one round trip. */
export function readOnce<R extends unknown[]>(
  pool: pg.Pool,
  { timeoutMs, ...statement }: LimitedStatement,
): Promise<pg.QueryArrayResult<R>> {
  return withClient(pool, async (client) => {
    const { promise, resolve, reject } = Promise.withResolvers<pg.QueryArrayResult<R>>();
    const done: Done<R> = (error, result) => (error ? reject(error) : resolve(result));
    const settings = frameOf(client);
    const sent = settings === undefined ? new ReadOnlyQuery(statement, done) : pooledQuery(statement, done, settings);
    sendWithoutLimit(client, sent);
    try {
      return await within(timeoutMs, promise, () => new Error(`Query read timeout: no answer in ${timeoutMs} ms`));
    } catch (error) {
      if (!isConnectionFailure(error)) await recover(client, sent instanceof ReadOnlyQuery ? sent.unsure : []);
      throw queryFault(error);
    }
  });
}

/** Runs `work` in one read-only transaction, which is rolled back at the end. */
export function readOnly<T>(pool: pg.Pool, work: (db: pg.PoolClient) => Promise<T>): Promise<T> {
  return inRolledBack(pool, BEGIN, work);
}

/**
 * Runs `work` in a transaction that may create a view over the text: a read-only transaction cannot create one, not
 * even a temporary view. The caller must not read from the view, since the text would then run.
 */
export function parseOnly<T>(pool: pg.Pool, work: (db: pg.PoolClient) => Promise<T>): Promise<T> {
  return inRolledBack(pool, 'begin isolation level read committed read write', work);
}

function inRolledBack<T>(pool: pg.Pool, begin: string, work: (db: pg.PoolClient) => Promise<T>): Promise<T> {
  return withClient(pool, async (client) => {
    await client.query(beginOf(client, begin));
    try {
      const result = await work(client);
      await client.query('rollback');
      return result;
    } catch (error) {
      if (!isConnectionFailure(error)) await client.query('rollback');
      throw queryFault(error);
    }
  });
}

type Done<R extends unknown[]> = (error: Error | undefined, result: pg.QueryArrayResult<R>) => void;

/** Returns a query for a session that a pooler lends, in which no statement can stay prepared. */
function pooledQuery<R extends unknown[]>(
  { name: _name, ...statement }: ReadStatement,
  done: Done<R>,
  settings: string,
) {
  return new FramedQuery(statement, done, { before: [BEGIN, settings], after: [ROLLBACK] });
}

/** Connections on which begin and rollback are prepared. Parsing both each time cost Postgres 4 % of a live read. */
const framed = new WeakSet<DriverConnection>();
const ROLLBACK = 'rollback';
const PREPARED: Readonly<Record<string, string>> = { [BEGIN]: 'tandem-begin-read-only', [ROLLBACK]: 'tandem-rollback' };

/** A query between a prepared begin and a prepared rollback. */
class ReadOnlyQuery<R extends unknown[]> extends FramedQuery<pg.QueryArrayResult<R>> {
  /** The names of the statements that were prepared on this connection. */
  readonly unsure: string[] = [];

  constructor(statement: ReadStatement, done: Done<R>) {
    super(statement, done, { before: [BEGIN], after: [ROLLBACK] });
  }

  override prepare(connection: DriverConnection): void {
    if (this.name !== undefined && !this.hasBeenParsed(connection)) this.unsure.push(this.name);
    if (!framed.has(connection)) {
      for (const [text, name] of Object.entries(PREPARED)) connection.parse({ text, name });
      this.unsure.push(...Object.values(PREPARED));
    }
    super.prepare(connection);
  }

  protected override sendFramed(connection: DriverConnection, text: string): void {
    execute(connection, PREPARED[text] ?? '');
  }

  override handleReadyForQuery(connection: DriverConnection): void {
    framed.add(connection);
    super.handleReadyForQuery(connection);
  }
}

/** Rolls back the transaction after an error. */
function recover(client: pg.PoolClient, unsure: readonly string[]): Promise<void> {
  return submit(client, {
    submit(connection) {
      for (const name of unsure) {
        delete connection.parsedStatements[name];
        connection.close({ type: 'S', name });
      }
      connection.parse({ text: ROLLBACK, name: '' });
      execute(connection, '');
      connection.sync();
    },
  });
}
