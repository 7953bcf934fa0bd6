/**
 * Uploads in parts: a file that takes longer than a request may, or whose sender's connection breaks, goes on from where it
 * was. Parts of one file are told from others' by its hash alone, so that anybody may repeat or finish what another began:
 * a part that lies gives a file of another hash, and all of them are thrown away.
 */
import type pg from 'pg';
import { type Db, query, transaction } from '../sql/database.ts';

export interface ArtifactPart {
  readonly hash: string;
  /** The place of its first byte in the file. */
  readonly firstByte: number;
  /** Of the whole file. */
  readonly total: number;
  readonly bytes: Uint8Array;
}

/** Keeps a part, and gives how much of the file is there without a gap from its beginning. */
export async function keepPart(pool: pg.Pool, { hash, firstByte, total, bytes }: ArtifactPart): Promise<number> {
  return transaction(pool, async (db) => {
    await query(db, {
      text: `delete from tandem.artifact_parts where uploaded_at < clock_timestamp() - interval '1 day'`,
    });
    // Of another total they are of another attempt at the same file, one of which lies.
    await query(db, {
      text: 'delete from tandem.artifact_parts where hash = $1 and total <> $2',
      values: [hash, total],
    });
    await query(db, {
      text: `insert into tandem.artifact_parts (hash, first_byte, total, bytes) values ($1, $2, $3, $4)
        on conflict (hash, first_byte) do update set bytes = excluded.bytes, uploaded_at = clock_timestamp()`,
      values: [hash, firstByte, total, Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)],
    });
    return receivedBytes(db, hash);
  });
}

/** How much of the file is there without a gap from its beginning; 0: nothing. */
export async function receivedBytes(db: Db, hash: string): Promise<number> {
  const parts = await query<{ firstByte: number; length: number }>(db, {
    text: `select first_byte as "firstByte", octet_length(bytes) as length from tandem.artifact_parts
      where hash = $1 order by first_byte`,
    values: [hash],
  });
  return parts.reduce(
    (received, { firstByte, length }) => (firstByte <= received ? Math.max(received, firstByte + length) : received),
    0,
  );
}

/** The file of all its parts, one part at a time; they stay until `dropParts`. */
export async function joinParts(pool: pg.Pool, hash: string, total: number): Promise<Buffer> {
  const file = Buffer.alloc(total);
  const places = await query<{ firstByte: number }>(pool, {
    text: 'select first_byte as "firstByte" from tandem.artifact_parts where hash = $1 order by first_byte',
    values: [hash],
  });
  for (const { firstByte } of places) {
    const [part] = await query<{ bytes: Buffer }>(pool, {
      text: 'select bytes from tandem.artifact_parts where hash = $1 and first_byte = $2',
      values: [hash, firstByte],
    });
    part?.bytes.copy(file, firstByte);
  }
  return file;
}

export async function dropParts(db: Db, hash: string): Promise<void> {
  await query(db, { text: 'delete from tandem.artifact_parts where hash = $1', values: [hash] });
}
