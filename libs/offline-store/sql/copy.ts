/**
 * COPY in both directions, as single statements over the driver's connection and under the driver's time limit. A late
 * COPY rejects like any unanswered statement, and the owner closes its connection.
 * https://www.postgresql.org/docs/current/protocol-flow.html#PROTOCOL-COPY
 */
import type pg from 'pg';
import { type DriverConnection, submit } from './driver-connection.ts';

interface CopyOptions {
  /** A COPY statement, without parameters. */
  readonly text: string;
  /** The time limit of the client in ms. */
  readonly timeoutMs: number;
}

/** Runs COPY … FROM STDIN with these bytes as its whole input. */
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
 * Runs COPY … FROM STDIN with input that is read while it is sent, no faster than Postgres accepts it. If reading
 * fails, the COPY is aborted, and the promise rejects with that error.
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

/**
 * Sends the input. Resolves with the error of reading, after the COPY was aborted; null if all was sent or Postgres
 * accepts no more.
 */
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
  // One listener is used, since a long input drains thousands of times.
  return promise.finally(() => {
    stream.off('drain', isOver);
    stream.off('close', isOver);
    refused.removeEventListener('abort', isOver);
  });
}

/**
 * Runs COPY … TO STDOUT, with one message per row, as Postgres guarantees. The extended protocol is used, since it
 * accepts one statement per text, and the text contains a feature query.
 * @param take receives each message's bytes, which are valid only during the call; its exception rejects the promise at
 * the end
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
      // Postgres has ignored the Sync that was sent with the statement.
      connection.sync();
    },
    handleCopyData({ chunk }) {
      if (failure) return;
      try {
        take(chunk);
      } catch (error) {
        // An exception here would end the process.
        failure = { error };
      }
    },
  });
  // The closure above sets `failure`, which the compiler does not detect.
  const failed = failure as { readonly error: unknown } | null;
  if (failed) throw failed.error;
}

/** The bytes of the signature, before four bytes of flags and the length of the header's extension. */
const SIGNATURE_BYTES = 11;

/**
 * Creates a reader of the messages of a COPY in binary form. Each message is one row; the first begins with a header.
 * @param take reads a row with this number of fields, from this offset on; returns the offset after it
 */
export function createRowReader(take: (bytes: Buffer, at: number, fields: number) => number): (bytes: Buffer) => void {
  let isFirst = true;
  return (bytes) => {
    let at = isFirst ? SIGNATURE_BYTES + 8 + bytes.readInt32BE(SIGNATURE_BYTES + 4) : 0;
    isFirst = false;
    while (at < bytes.length) {
      const fields = bytes.readInt16BE(at);
      // The end of the data.
      if (fields < 0) return;
      at = take(bytes, at + 2, fields);
    }
  };
}
