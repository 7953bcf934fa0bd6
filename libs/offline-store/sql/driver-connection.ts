/**
 * The driver's (pg 8) interface for a statement that speaks the protocol by itself, and parts that its types omit.
 * https://www.postgresql.org/docs/current/protocol-flow.html
 */
import pg from 'pg';

/** The connection that a submitted statement is given. */
export interface DriverConnection {
  /** Names and texts of the statements that are prepared here, as the driver remembers them. */
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

/** A statement of this module. The driver calls it with Postgres' messages, and puts its time limit around `callback`. */
interface DriverStatement {
  /** Milliseconds; the pool's limit where it is left out. */
  readonly query_timeout?: number;
  callback(error: Error | null): void;
  submit(connection: DriverConnection): void;
  handleCommandComplete(): void;
  handleReadyForQuery(): void;
  handleError(error: Error): void;
  handleCopyInResponse?(connection: DriverConnection): void;
  handleCopyData?(message: { readonly chunk: Buffer }): void;
}

/** The steps that a statement adds to the common end. */
type StatementSteps = Pick<DriverStatement, 'submit'> &
  Partial<Pick<DriverStatement, 'query_timeout' | 'handleCopyInResponse' | 'handleCopyData'>>;

/** Submits a statement. Rejects with Postgres' error, or the driver's where it gives up. */
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

/** Statements before and after another, without parameters and rows. */
interface Frame {
  readonly before: readonly string[];
  readonly after: readonly string[];
}

const NO_FRAME: Frame = { before: [], after: [] };

/**
 * The driver's own query, by the extended protocol, whose rows are seen as they come. Its frame goes out with it, before one
 * Sync: one round trip, and one transaction where the frame does not say otherwise. The result is that of the query alone.
 */
export class FramedQuery<R> extends (pg.Query as unknown as DriverQuery) {
  readonly query_timeout: number | undefined;
  protected readonly frame: Frame;
  private readonly onRow: ReadStatement['onRow'];
  private commands = 0;

  constructor(statement: pg.QueryConfig | ReadStatement, done: Done<R>, frame: Frame = NO_FRAME) {
    const extended = { ...statement, queryMode: 'extended' };
    super(extended, undefined, done as Done<unknown>);
    const { query_timeout, onRow }: Partial<ReadStatement> = statement;
    this.query_timeout = query_timeout;
    this.onRow = onRow;
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

  /** The driver's end of a statement. */
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
