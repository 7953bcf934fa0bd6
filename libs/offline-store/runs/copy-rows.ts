/**
 * COPY in Postgres' binary format: the rows of a chunk as one buffer, without escaping, which neither side parses as
 * text. https://www.postgresql.org/docs/current/sql-copy.html#SQL-COPY-FILE-FORMATS
 */
import type { ScoredUsers } from '@tandem/prediction/runs/scored-users';
import type pg from 'pg';
import { copyIn } from '../sql/copy.ts';
import { partitionOf } from '../sql/partition.ts';

const SIGNATURE = Buffer.from('PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\0', 'latin1');
/** Postgres counts microseconds from 2000-01-01. */
const POSTGRES_EPOCH_MS = 946_684_800_000;

/** Rows of a generation whose features were read at one moment (ms since 1970); rejects after `timeoutMs`. */
export function copyPredictions(
  db: pg.PoolClient,
  generationId: string,
  computedAt: number,
  users: ScoredUsers,
  timeoutMs: number,
): Promise<void> {
  const columns = 'generation_id, computed_at, user_id, context_version, outputs';
  const text = `copy ${partitionOf(generationId)} (${columns}) from stdin (format binary)`;
  return copyIn(db, { text, timeoutMs }, encodeRows(generationId, computedAt, users));
}

/** UTF-8 takes at most three bytes for a UTF-16 unit. */
const BYTES_PER_UNIT = 3;
/** The lengths of the three fields that differ, and the context version. */
const FRAME_BYTES = 4 + 4 + 8 + 4;

function encodeRows(generationId: string, computedAt: number, users: ScoredUsers): Buffer {
  const { userIds, contextVersions, outputs, offsets } = users;
  const prefix = rowPrefix(generationId, computedAt);
  let size = SIGNATURE.length + 2 + userIds.length * (prefix.length + FRAME_BYTES) + outputs.length;
  for (const userId of userIds) size += BYTES_PER_UNIT * userId.length;
  const bytes = Buffer.allocUnsafe(size);
  let at = SIGNATURE.copy(bytes);
  for (let i = 0; i < userIds.length; i++) {
    const [start, end] = [offsets[i] as number, offsets[i + 1] as number];
    const contextVersion = contextVersions[i] as number;
    at = putBytes(bytes, at, prefix, 0, prefix.length);
    at = putText(bytes, at, userIds[i] as string);
    at = putInteger(bytes, at, 8);
    at = putInteger(bytes, at, Math.floor(contextVersion / 0x1_0000_0000));
    at = putInteger(bytes, at, contextVersion % 0x1_0000_0000);
    at = putInteger(bytes, at, end - start);
    at = putBytes(bytes, at, outputs, start, end);
  }
  return bytes.subarray(0, bytes.writeInt16BE(-1, at));
}

/** The lower 32 bits. */
function putInteger(bytes: Buffer, at: number, value: number): number {
  bytes[at] = value >>> 24;
  bytes[at + 1] = value >>> 16;
  bytes[at + 2] = value >>> 8;
  bytes[at + 3] = value;
  return at + 4;
}

/** By hand: for so few bytes a call of Buffer.copy or Buffer.write takes longer. */
function putBytes(bytes: Buffer, at: number, source: Buffer, start: number, end: number): number {
  if (end - start > 64) return at + source.copy(bytes, at, start, end);
  for (let from = start, to = at; from < end; from++, to++) bytes[to] = source[from] as number;
  return at + end - start;
}

/** A text after its length in bytes. */
function putText(bytes: Buffer, at: number, text: string): number {
  const start = at + 4;
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i);
    if (code > 0x7f) {
      const length = bytes.write(text, start);
      return bytes.writeInt32BE(length, at) + length;
    }
    bytes[start + i] = code;
  }
  return bytes.writeInt32BE(text.length, at) + text.length;
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
