/**
 * COPY in both directions over the driver's own connection, one statement each, under the driver's own time limit: what
 * is late rejects as any statement does that is not answered, and its connection is closed by its owner.
 * https://www.postgresql.org/docs/current/protocol-flow.html#PROTOCOL-COPY
 */
import type pg from 'pg';

/** What the driver's connection has besides what its types tell. */
interface CopyConnection {
  query(text: string): void;
  parse(query: { text: string; name: string }): void;
  bind(options: { statement: string }): void;
  execute(options: { portal: string }): void;
  sync(): void;
  sendCopyFromChunk(bytes: Buffer): void;
  endCopyFrom(): void;
  sendCopyFail(why: string): void;
}

/** The driver's calls on the statement that is under way. It puts its time limit around `callback`. */
interface CopyStatement {
  readonly query_timeout: number;
  callback(error: Error | null): void;
  submit(connection: CopyConnection): void;
  handleCopyInResponse(connection: CopyConnection): void;
  handleCopyData(message: { readonly chunk: Buffer }): void;
  handleCommandComplete(): void;
  handleReadyForQuery(): void;
  handleError(error: Error): void;
}

export interface CopyOptions {
  /** A COPY statement, without parameters. */
  readonly text: string;
  /** Milliseconds that we wait for it. */
  readonly timeoutMs: number;
}

/** COPY … FROM STDIN: the bytes are the whole of its input. */
export function copyIn(db: pg.PoolClient, options: CopyOptions, bytes: Buffer): Promise<void> {
  return run(db, options, {
    submit: (connection) => connection.query(options.text),
    handleCopyInResponse(connection) {
      connection.sendCopyFromChunk(bytes);
      connection.endCopyFrom();
    },
    handleCopyData() {},
  });
}

/**
 * COPY … TO STDOUT: a message a row, as Postgres promises. By the extended protocol, which takes one statement a text: a
 * feature query is part of it.
 * @param take gets each message's bytes, which are gone when it returns; what it throws rejects the promise at the end
 */
export async function copyOut(db: pg.PoolClient, options: CopyOptions, take: (bytes: Buffer) => void): Promise<void> {
  let failure: { readonly error: unknown } | null = null;
  await run(db, options, {
    submit(connection) {
      connection.parse({ text: options.text, name: '' });
      connection.bind({ statement: '' });
      connection.execute({ portal: '' });
      connection.sync();
    },
    handleCopyInResponse(connection) {
      connection.sendCopyFail('this statement sends nothing');
      // Postgres ignored the one that was sent with the statement.
      connection.sync();
    },
    handleCopyData({ chunk }) {
      if (failure) return;
      try {
        take(chunk);
      } catch (error) {
        // Thrown here it would end the process.
        failure = { error };
      }
    },
  });
  // Set by the closure above, which the compiler does not see.
  const failed = failure as { readonly error: unknown } | null;
  if (failed) throw failed.error;
}

type CopyHandlers = Pick<CopyStatement, 'submit' | 'handleCopyInResponse' | 'handleCopyData'>;

function run(db: pg.PoolClient, { timeoutMs }: CopyOptions, handlers: CopyHandlers): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  const statement: CopyStatement = {
    query_timeout: timeoutMs,
    callback: (error) => (error ? reject(error) : resolve()),
    handleCommandComplete() {},
    handleReadyForQuery: () => statement.callback(null),
    handleError: (error) => statement.callback(error),
    ...handlers,
  };
  db.query(statement as unknown as pg.Submittable);
  return promise;
}
