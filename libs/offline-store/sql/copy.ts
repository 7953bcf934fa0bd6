/**
 * COPY in both directions over the driver's own connection, one statement each, under the driver's own time limit: a
 * late COPY rejects like any unanswered statement, and the owner closes its connection.
 * https://www.postgresql.org/docs/current/protocol-flow.html#PROTOCOL-COPY
 */
import type pg from 'pg';
import { type DriverConnection, submit } from './driver-connection.ts';

interface CopyOptions {
  /** A COPY statement, without parameters. */
  readonly text: string;
  /** Milliseconds that we wait for it. */
  readonly timeoutMs: number;
}

/** COPY … FROM STDIN: the bytes are the whole of its input. */
export function copyIn(db: pg.PoolClient, options: CopyOptions, bytes: Buffer): Promise<void> {
  return submit(db, {
    query_timeout: options.timeoutMs,
    submit: (connection) => connection.query(options.text),
    handleCopyInResponse(connection) {
      connection.sendCopyFromChunk(bytes);
      connection.endCopyFrom();
    },
    handleCopyData() {},
  });
}

/**
 * COPY … FROM STDIN of input that is read while it is sent, no faster than Postgres takes it. If reading fails, the
 * COPY is aborted, and the promise rejects with that failure.
 */
export async function copyInAll(db: pg.PoolClient, options: CopyOptions, input: AsyncIterable<Buffer>): Promise<void> {
  const refusal = new AbortController();
  let reading: Promise<{ readonly error: unknown } | null> = Promise.resolve(null);
  const copied = submit(db, {
    query_timeout: options.timeoutMs,
    submit: (connection) => connection.query(options.text),
    handleCopyInResponse(connection) {
      reading = send(connection, input, refusal.signal);
    },
    handleCopyData() {},
  });
  try {
    await copied;
  } catch (error) {
    refusal.abort();
    throw (await reading)?.error ?? error;
  }
}

/** Resolves with the error of reading, after the COPY was aborted; null: all was sent, or Postgres accepts no more. */
async function send(
  connection: DriverConnection,
  input: AsyncIterable<Buffer>,
  refused: AbortSignal,
): Promise<{ readonly error: unknown } | null> {
  try {
    for await (const bytes of input) {
      if (refused.aborted) return null;
      connection.sendCopyFromChunk(bytes);
      if (connection.stream.writableNeedDrain) await drained(connection, refused);
    }
    if (!refused.aborted) connection.endCopyFrom();
    return null;
  } catch (error) {
    if (!refused.aborted) connection.sendCopyFail('the input cannot be read');
    return { error };
  }
}

function drained({ stream }: DriverConnection, refused: AbortSignal): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  const isOver = () => resolve();
  stream.once('drain', isOver);
  stream.once('close', isOver);
  refused.addEventListener('abort', isOver);
  // A long input drains thousands of times.
  return promise.finally(() => {
    stream.off('drain', isOver);
    stream.off('close', isOver);
    refused.removeEventListener('abort', isOver);
  });
}

/**
 * COPY … TO STDOUT: a message a row, as Postgres promises. By the extended protocol, which takes one statement a text: a
 * feature query is part of it.
 * @param take gets each message's bytes, which are gone when it returns; what it throws rejects the promise at the end
 */
export async function copyOut(db: pg.PoolClient, options: CopyOptions, take: (bytes: Buffer) => void): Promise<void> {
  let failure: { readonly error: unknown } | null = null;
  await submit(db, {
    query_timeout: options.timeoutMs,
    submit(connection) {
      connection.parse({ text: options.text, name: '' });
      connection.bind({ statement: '' });
      connection.execute({ portal: '' });
      connection.sync();
    },
    handleCopyInResponse(connection) {
      connection.sendCopyFail('this statement sends nothing');
      // Postgres ignored the sync that was sent with the statement.
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
