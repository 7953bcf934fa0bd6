/**
 * The interface of the driver (pg 8) for statements that use the protocol directly, and parts that its types omit.
 * https://www.postgresql.org/docs/current/protocol-flow.html
 */
import pg from 'pg';

/** The connection that a submitted statement receives. */
export interface DriverConnection {
  /** The names and texts of the statements that are prepared on this connection, as the driver remembers them. */
  readonly parsedStatements: Record<string, string | undefined>;
  readonly stream: {
    readonly writableNeedDrain: boolean;
    once(event: 'drain' | 'close', listener: () => void): unknown;
    off(event: 'drain' | 'close', listener: () => void): unknown;
  };
  query(text: string): void;
  parse(query: { text: string; name: string }): void;
  bind(options: { statement: string }): void;
  execute(options: { portal: string }): void;
  close(options: { type: 'S'; name: string }): void;
  sync(): void;
  sendCopyFromChunk(bytes: Buffer): void;
  endCopyFrom(): void;
  sendCopyFail(why: string): void;
}

/** A statement of this module. The driver calls it with Postgres' messages, and wraps `callback` for its time limit. */
interface DriverStatement {
  /** The time limit in ms; default: the pool's limit. */
  readonly query_timeout?: number;
  callback(error: Error | null): void;
  submit(connection: DriverConnection): void;
  handleCommandComplete(): void;
  handleReadyForQuery(): void;
  handleError(error: Error): void;
  handleCopyInResponse?(connection: DriverConnection): void;
  handleCopyData?(message: { readonly chunk: Buffer }): void;
}

/** The steps of a statement, in addition to the common end. */
type StatementSteps = Pick<DriverStatement, 'submit'> &
  Partial<Pick<DriverStatement, 'query_timeout' | 'handleCopyInResponse' | 'handleCopyData'>>;

/** Submits a statement. Rejects with Postgres' error, or with the driver's error if it gives up. */
export function submit(client: pg.PoolClient, steps: StatementSteps): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  const statement: DriverStatement = {
    callback: (error) => (error ? reject(error) : resolve()),
    handleCommandComplete() {},
    handleReadyForQuery: () => statement.callback(null),
    handleError: (error) => statement.callback(error),
    ...steps,
  };
  client.query(statement as unknown as pg.Submittable);
  return promise;
}

/**
 * Sends a statement without the driver's time limit, for callers that have their own. With it, each statement and its
 * rows would stay in memory until a full garbage collection. The driver's timer assigns a function literal to a
 * property; V8 allocates such a function in the old generation, and what it captures survives with it.
 */
export function sendWithoutLimit(client: pg.PoolClient, statement: pg.Submittable): void {
  const { connectionParameters } = client as unknown as { connectionParameters: { query_timeout: number | false } };
  const limit = connectionParameters.query_timeout;
  connectionParameters.query_timeout = false;
  try {
    client.query(statement);
  } finally {
    connectionParameters.query_timeout = limit;
  }
}

export type ReadStatement = pg.QueryArrayConfig & {
  /** Receives each row before it is kept, and may replace its fields by nulls. */
  readonly onRow?: (row: ArrivedRow) => void;
};

export interface ArrivedRow {
  /** The bytes of the whole row as Postgres sent it. */
  readonly length: number;
  readonly fields: (string | null)[];
}

type Done<R> = (error: Error | undefined, result: R) => void;
type DriverQuery = new (
  config: pg.QueryConfig,
  values: undefined,
  done: Done<unknown>,
) => pg.Submittable & {
  readonly portal: string;
  readonly name: string | undefined;
  hasBeenParsed(connection: DriverConnection): boolean;
  prepare(connection: DriverConnection): void;
  handleDataRow(row: ArrivedRow): void;
  handleCommandComplete(message: { text: string }, connection: DriverConnection): void;
  handleReadyForQuery(connection: DriverConnection): void;
};

type FramedStatement = pg.QueryConfig & Pick<ReadStatement, 'onRow'> & { readonly query_timeout?: number };

/** The statements before and after another statement, without parameters and rows. */
interface Frame {
  readonly before: readonly string[];
  readonly after: readonly string[];
}

const NO_FRAME: Frame = { before: [], after: [] };

/**
 * The driver's query by the extended protocol, with a callback for each row. Its frame is sent with it, before one
 * Sync: one round trip, and one transaction unless the frame changes that. The result is that of the query only.
 */
export class FramedQuery<R> extends (pg.Query as unknown as DriverQuery) {
  readonly query_timeout: number | undefined;
  protected readonly frame: Frame;
  private readonly onRow: ReadStatement['onRow'];
  private commands = 0;

  constructor(statement: FramedStatement, done: Done<R>, frame: Frame = NO_FRAME) {
    const extended = { ...statement, queryMode: 'extended' };
    super(extended, undefined, done as Done<unknown>);
    this.query_timeout = statement.query_timeout;
    this.onRow = statement.onRow;
    this.frame = frame;
  }

  override prepare(connection: DriverConnection): void {
    for (const text of this.frame.before) this.sendFramed(connection, text);
    super.prepare(connection);
  }

  protected sendFramed(connection: DriverConnection, text: string): void {
    connection.parse({ text, name: '' });
    execute(connection, '');
  }

  /** Replaces the driver's request of the rows, and sends the statements after the query. */
  _getRows(connection: DriverConnection): void {
    connection.execute({ portal: this.portal });
    for (const text of this.frame.after) this.sendFramed(connection, text);
    connection.sync();
  }

  override handleDataRow(row: ArrivedRow): void {
    this.onRow?.(row);
    super.handleDataRow(row);
  }

  override handleCommandComplete(message: { text: string }, connection: DriverConnection): void {
    if (this.commands++ === this.frame.before.length) super.handleCommandComplete(message, connection);
  }
}

/** Executes a prepared statement without parameters. */
export function execute(connection: DriverConnection, statement: string): void {
  connection.bind({ statement });
  connection.execute({ portal: '' });
}
