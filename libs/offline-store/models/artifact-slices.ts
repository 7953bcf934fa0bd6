/**
 * A large file a piece at a time, so that whoever reads it does other things in between: in one value 50 MB keep an event
 * loop from everybody's answers for 0.2 s. By COPY's binary format, in which bytes are not written out and parsed again.
 */
import { createHash } from 'node:crypto';
import { setImmediate } from 'node:timers/promises';
import type pg from 'pg';
import { copyOut } from '../sql/copy.ts';
import { withClient } from '../sql/database.ts';

const SLICE_BYTES = 1 << 20;
/** Of one statement: none should take long. */
const SLICES = 8;
const TIMEOUT_MS = 10_000;
/** What COPY begins with: a signature, flags, and the length of nothing further. */
const HEADER_BYTES = 19;
/** What a row begins with: how many fields it has, and the length of the only one. */
const ROW_BYTES = 6;

/** The first `size` bytes that Postgres has of the artifact; zeros where there are no more. @param hash checked hex */
export async function readSlices(pool: pg.Pool, hash: string, size: number): Promise<Buffer> {
  const file = Buffer.alloc(size);
  for (let from = 0; from < size; ) {
    const text = `copy (select substring(bytes from at + 1 for ${SLICE_BYTES})
      from tandem.artifacts, generate_series(${from}, ${Math.min(from + (SLICES - 1) * SLICE_BYTES, size - 1)}, ${SLICE_BYTES}) at
      where hash = '${hash}' order by at) to stdout (format binary)`;
    const first = from;
    let length = 0;
    await withClient(pool, (client) =>
      copyOut(client, { text, timeoutMs: TIMEOUT_MS }, (bytes) => {
        length += takeRow(bytes, file, first + length);
      }),
    );
    if (length === 0) break;
    from += length;
  }
  return file;
}

/** Gives the bytes that were taken: none of the message that ends the data. */
function takeRow(message: Buffer, file: Buffer, to: number): number {
  const at = message.subarray(0, 4).toString('latin1') === 'PGCO' ? HEADER_BYTES : 0;
  if (message.length < at + ROW_BYTES || message.readInt16BE(at) !== 1) return 0;
  const length = Math.max(0, message.readInt32BE(at + 2));
  return message.copy(file, to, at + ROW_BYTES, at + ROW_BYTES + length);
}

/** SHA-256 in hex, as createHash gives it. */
export async function hashInSlices(bytes: Uint8Array): Promise<string> {
  const hash = createHash('sha256');
  for (let at = 0; at < bytes.length; at += SLICE_BYTES) {
    hash.update(bytes.subarray(at, at + SLICE_BYTES));
    await setImmediate();
  }
  return hash.digest('hex');
}
