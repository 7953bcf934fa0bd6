/**
 * COPY in Postgres' binary format: the rows of a chunk as one buffer, without escaping, which neither side parses as
 * text. https://www.postgresql.org/docs/current/sql-copy.html#SQL-COPY-FILE-FORMATS
 */
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import type { ScoredUser } from '@tandem/prediction/runs';
import type pg from 'pg';
import { from as copyFrom } from 'pg-copy-streams';
import { partitionOf } from './partition.ts';

const SIGNATURE = Buffer.from('PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\0', 'latin1');
/** Postgres counts microseconds from 2000-01-01. */
const POSTGRES_EPOCH_MS = 946_684_800_000;

/**
 * Rows of a generation whose features were read at one moment (ms since 1970). Rejects after `timeoutMs` as a connection
 * that does not answer, which its owner then closes: the driver's own limit does not cover COPY.
 */
export async function copyPredictions(
  db: pg.PoolClient,
  generationId: string,
  computedAt: number,
  users: readonly ScoredUser[],
  timeoutMs: number,
): Promise<void> {
  const columns = 'generation_id, computed_at, user_id, context_version, outputs';
  const stream = db.query(copyFrom(`copy ${partitionOf(generationId)} (${columns}) from stdin (format binary)`));
  const { promise: late, reject } = Promise.withResolvers<never>();
  // Not the pipeline's signal: destroying the stream waits for the server as well, to confirm that COPY has failed.
  const timer = setTimeout(() => reject(new Error(`Query read timeout: COPY took over ${timeoutMs} ms`)), timeoutMs);
  const copied = pipeline(Readable.from([encodeRows(generationId, computedAt, users)]), stream);
  copied.catch(() => {});
  try {
    await Promise.race([copied, late]);
  } finally {
    clearTimeout(timer);
  }
}

function encodeRows(generationId: string, computedAt: number, users: readonly ScoredUser[]): Buffer {
  const prefix = rowPrefix(generationId, computedAt);
  let size = SIGNATURE.length + 2;
  for (const { userId, outputs } of users)
    size += prefix.length + 4 + Buffer.byteLength(userId) + 12 + 4 + outputs.length;
  const bytes = Buffer.allocUnsafe(size);
  let at = SIGNATURE.copy(bytes);
  for (const { userId, contextVersion, outputs } of users) {
    at += prefix.copy(bytes, at);
    const length = bytes.write(userId, at + 4);
    at = bytes.writeInt32BE(length, at) + length;
    at = bytes.writeInt32BE(8, at);
    at = bytes.writeBigInt64BE(BigInt(contextVersion), at);
    at = bytes.writeInt32BE(outputs.length, at);
    at += outputs.copy(bytes, at);
  }
  bytes.writeInt16BE(-1, at);
  return bytes;
}

/** What all rows begin with: the number of columns, the generation, the time. */
function rowPrefix(generationId: string, computedAt: number): Buffer {
  const prefix = Buffer.alloc(2 + 4 + 16 + 4 + 8);
  prefix.writeInt16BE(5, 0);
  prefix.writeInt32BE(16, 2);
  prefix.write(generationId.replaceAll('-', ''), 6, 'hex');
  prefix.writeInt32BE(8, 22);
  prefix.writeBigInt64BE(BigInt(Math.round((computedAt - POSTGRES_EPOCH_MS) * 1000)), 26);
  return prefix;
}
