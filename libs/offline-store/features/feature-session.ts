/**
 * How a predictor's own SQL runs. The text is a user's, so that each statement with it
 * - is sent by the extended protocol, which takes one statement a text;
 * - runs in a read-only transaction, which Postgres lets no statement leave;
 * - ends in a rollback, which undoes what the query set in its session (`set_config`): the next query finds what ours set.
 *
 * An error of the query itself is a `FeatureQueryFailed`, with the words of Postgres (query-fault.ts).
 *
 * `parseOnly` is for statements that Postgres parses and does not run.
 */
import pg from 'pg';
import { isConnectionFailure, withClient } from '../sql/database.ts';
import { type DriverConnection, submit } from '../sql/driver-connection.ts';
import { queryFault } from '../sql/query-fault.ts';

/** The pools of a use case that reads features and writes what comes of it. */
export interface Pools {
  readonly pool: pg.Pool;
  /** The pool of feature statements: its login may be another, and shares its connections with no other statement. */
  readonly features: pg.Pool;
}

/** The isolation is said, since the default of a role may be another. */
const BEGIN = 'begin isolation level read committed read only';

export type ReadStatement = pg.QueryArrayConfig & {
  readonly query_timeout?: number;
  /** Sees each row before it is kept, and may put nulls in the place of its fields. */
  readonly onRow?: (row: ArrivedRow) => void;
};

export interface ArrivedRow {
  /** Bytes of the whole row as Postgres sent it. */
  readonly length: number;
  readonly fields: (string | null)[];
}

/** Runs one statement. Begin, statement and rollback go out together: one round trip. */
export function readOnce<R extends unknown[]>(
  pool: pg.Pool,
  statement: ReadStatement,
): Promise<pg.QueryArrayResult<R>> {
  return withClient(pool, async (client) => {
    const { promise, resolve, reject } = Promise.withResolvers<pg.QueryArrayResult<R>>();
    const sent = new ReadOnlyQuery<R>(statement, (error, result) => (error ? reject(error) : resolve(result)));
    client.query(sent);
    try {
      return await promise;
    } catch (error) {
      if (!isConnectionFailure(error)) await recover(client, sent.unsure);
      throw queryFault(error);
    }
  });
}

/** Runs one statement inside a transaction, with its `onRow`. */
export function readIn<R extends unknown[]>(
  db: pg.PoolClient,
  statement: ReadStatement,
): Promise<pg.QueryArrayResult<R>> {
  const { promise, resolve, reject } = Promise.withResolvers<pg.QueryArrayResult<R>>();
  db.query(new RowsQuery<R>(statement, (error, result) => (error ? reject(error) : resolve(result))));
  return promise;
}

/** Runs `work` in one read-only transaction, which is rolled back at the end. */
export function readOnly<T>(pool: pg.Pool, work: (db: pg.PoolClient) => Promise<T>): Promise<T> {
  return inRolledBack(pool, BEGIN, work);
}

/**
 * The same for a view over the text, which Postgres makes in no read-only transaction, also where it is temporary. The
 * caller must not read from the view: the text would run.
 */
export function parseOnly<T>(pool: pg.Pool, work: (db: pg.PoolClient) => Promise<T>): Promise<T> {
  return inRolledBack(pool, 'begin isolation level read committed read write', work);
}

function inRolledBack<T>(pool: pg.Pool, begin: string, work: (db: pg.PoolClient) => Promise<T>): Promise<T> {
  return withClient(pool, async (client) => {
    await client.query(begin);
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
type DriverQuery = new (
  config: ReadStatement,
  values: undefined,
  done: Done<unknown[]>,
) => pg.Submittable & {
  readonly portal: string;
  readonly name: string | undefined;
  hasBeenParsed(connection: DriverConnection): boolean;
  prepare(connection: DriverConnection): void;
  handleDataRow(row: ArrivedRow): void;
  handleCommandComplete(message: { text: string }, connection: DriverConnection): void;
  handleReadyForQuery(connection: DriverConnection): void;
};

/** Connections on which begin and rollback are prepared: parsing both each time cost Postgres 4 % of a live read. */
const framed = new WeakSet<DriverConnection>();
const FRAME = { begin: 'tandem-begin-read-only', rollback: 'tandem-rollback' } as const;

/** The driver's own query, by the extended protocol, whose rows are seen as they come. */
class RowsQuery<R extends unknown[]> extends (pg.Query as unknown as DriverQuery) {
  readonly query_timeout: number | undefined;
  private readonly onRow: ReadStatement['onRow'];

  constructor(statement: ReadStatement, done: Done<R>) {
    super({ ...statement, queryMode: 'extended' } as ReadStatement, undefined, done as Done<unknown[]>);
    this.query_timeout = statement.query_timeout;
    this.onRow = statement.onRow;
  }

  override handleDataRow(row: ArrivedRow): void {
    this.onRow?.(row);
    super.handleDataRow(row);
  }
}

/** The query between a begin and a rollback, before one Sync. Its result is that of the query alone. */
class ReadOnlyQuery<R extends unknown[]> extends RowsQuery<R> {
  /** Statements that this one sent to be prepared. */
  readonly unsure: string[] = [];
  private commands = 0;

  override prepare(connection: DriverConnection): void {
    if (this.name !== undefined && !this.hasBeenParsed(connection)) this.unsure.push(this.name);
    if (!framed.has(connection)) {
      connection.parse({ text: BEGIN, name: FRAME.begin });
      connection.parse({ text: 'rollback', name: FRAME.rollback });
      this.unsure.push(FRAME.begin, FRAME.rollback);
    }
    execute(connection, FRAME.begin);
    super.prepare(connection);
  }

  /** The driver's end of a statement. */
  _getRows(connection: DriverConnection): void {
    connection.execute({ portal: this.portal });
    execute(connection, FRAME.rollback);
    connection.sync();
  }

  override handleCommandComplete(message: { text: string }, connection: DriverConnection): void {
    this.commands++;
    if (this.commands === 2) super.handleCommandComplete(message, connection);
  }

  override handleReadyForQuery(connection: DriverConnection): void {
    framed.add(connection);
    super.handleReadyForQuery(connection);
  }
}

function execute(connection: DriverConnection, statement: string): void {
  connection.bind({ statement });
  connection.execute({ portal: '' });
}

/**
 * Ends the transaction after an error.
 * @param unsure statements that may have been prepared or not: to close one that does not exist is no error
 */
function recover(client: pg.PoolClient, unsure: readonly string[]): Promise<void> {
  return submit(client, {
    submit(connection) {
      for (const name of unsure) {
        delete connection.parsedStatements[name];
        connection.close({ type: 'S', name });
      }
      connection.parse({ text: 'rollback', name: '' });
      execute(connection, '');
      connection.sync();
    },
  });
}
