/**
 * What the driver (pg 8) offers to a statement that speaks the protocol by itself, and what its types leave out.
 * https://www.postgresql.org/docs/current/protocol-flow.html
 */
import type pg from 'pg';

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

/** A statement of our own. The driver calls it with what Postgres says, and puts its time limit around `callback`. */
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

/** What a statement adds to the end that all of them have. */
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
