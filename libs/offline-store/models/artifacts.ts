/**
 * Artifacts: immutable model files, identified by their SHA-256. Each is a row in Postgres with the bytes, or with
 * their location in a bucket. Bytes are hashed again when they are read, so that damaged bytes are never loaded.
 */
import { createHash } from 'node:crypto';
import { setImmediate } from 'node:timers/promises';
import { TandemError } from '@tandem/freshness/errors';
import type { Insertable } from 'kysely';
import type pg from 'pg';
import { copyOut, createRowReader } from '../sql/copy.ts';
import { type Db, transaction, withClient } from '../sql/database.ts';
import type { Database } from '../sql/database-schema.ts';
import { changeRows, databaseNow, fetchFirst, fetchRows, statements } from '../sql/statements.ts';

/** Port: the store of artifacts. */
export interface ArtifactStore {
  /** Returns the size of the file in bytes; null if it does not exist. */
  sizeOf(hash: string): Promise<number | null>;
  /**
   * Returns the size like `sizeOf`, and keeps a file that no model version uses for another day (unused-artifacts.ts).
   */
  renew(hash: string): Promise<number | null>;
  /**
   * Stores a file; a repeated call keeps it for another day. Rejects with `model_refused` if the bytes have another
   * hash.
   */
  put(hash: string, bytes: Uint8Array): Promise<void>;
  /** Reads a file. Rejects with `model_refused` if it is missing or damaged. */
  get(hash: string): Promise<Buffer>;
}

/** Port: a store of files outside Postgres. All calls reject with `unavailable` if it does not answer. */
export interface Bucket {
  /** Returns a new location, which was never used. */
  newLocation(hash: string): string;
  put(location: string, hash: string, bytes: Uint8Array): Promise<void>;
  /** Removes a file; a repeated call changes nothing. */
  remove(location: string): Promise<void>;
  /** Reads a file; returns null if there is no file. */
  get(location: string): Promise<Buffer | null>;
}

/**
 * Creates the store of artifacts.
 * @param bucket the bucket for the bytes of new artifacts; null: Postgres
 */
export function createArtifactStore(pool: pg.Pool, bucket: Bucket | null = null): ArtifactStore {
  return {
    async sizeOf(hash) {
      const artifact = statements.selectFrom('tandem.artifacts').select('size').where('hash', '=', hash);
      return (await fetchFirst(pool, artifact))?.size ?? null;
    },
    renew: (hash) => renewArtifact(pool, hash),
    async put(hash, bytes) {
      if ((await hashInSlices(bytes)) !== hash)
        throw notItself(hash, 'came damaged', 'send the file again, under its SHA-256');
      if (bucket === null) return insertArtifact(pool, hash, bytes);
      const location = bucket.newLocation(hash);
      // The location is recorded first, so that the object is found if this process is killed before its row is
      // written.
      await changeRows(pool, statements.insertInto('tandem.artifact_objects').values({ location }));
      await bucket.put(location, hash, bytes);
      await insertNew(pool, { hash, location, size: bytes.length });
    },
    get: (hash) => findArtifact(pool, hash, bucket),
  };
}

/** Renews a file in one statement: a concurrent removal either keeps the file, or has already removed it. */
async function renewArtifact(db: Db, hash: string): Promise<number | null> {
  const renewal = statements
    .updateTable('tandem.artifacts')
    .set({ created_at: databaseNow() })
    .where('hash', '=', hash);
  return (await fetchFirst(db, renewal.returning('size')))?.size ?? null;
}

/**
 * Stores bytes with a checked hash in Postgres, also inside a transaction. Existing files are renewed without sending
 * the bytes.
 */
export async function insertArtifact(db: Db, hash: string, bytes: Uint8Array): Promise<void> {
  if ((await renewArtifact(db, hash)) !== null) return;
  await insertNew(db, { hash, bytes: bufferOf(bytes), size: bytes.byteLength });
}

async function insertNew(db: Db, artifact: Insertable<Database['tandem.artifacts']>): Promise<void> {
  const artifacts = statements.insertInto('tandem.artifacts').values(artifact);
  const sent = artifacts.onConflict((row) => row.column('hash').doUpdateSet({ created_at: databaseNow() }));
  await changeRows(db, sent);
}

function bufferOf(bytes: Uint8Array): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

async function findArtifact(pool: pg.Pool, hash: string, bucket: Bucket | null): Promise<Buffer> {
  const artifact = statements.selectFrom('tandem.artifacts').select(['size', 'location']).where('hash', '=', hash);
  const row = await fetchFirst(pool, artifact);
  const remedy = 'push or adopt the file again from an intact copy: tandem model push, tandem up';
  if (!row) throw notItself(hash, 'is missing', remedy);
  if (row.location !== null && bucket === null) {
    throw notItself(
      hash,
      'is in a bucket that this process does not know',
      'set ARTIFACT_URL as in the other processes',
    );
  }
  const bytes = row.location === null ? await readSlices(pool, hash, row.size) : await bucket?.get(row.location);
  if (!bytes) throw notItself(hash, 'is missing in its bucket', remedy);
  if ((await hashInSlices(bytes)) !== hash) throw notItself(hash, 'is damaged', remedy);
  return bytes;
}

export function sha256(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex');
}

function notItself(hash: string, how: string, remedy: string): TandemError {
  return new TandemError('model_refused', `The stored model file ${hash.slice(0, 12)} ${how}.`, {
    remedy,
    detail: { hash },
  });
}

// Reads a large file in pieces, so that the event loop can serve requests in between: as one value, 50 MB would block
// it for 0.2 s. Uses COPY's binary format, in which bytes are not escaped and parsed.

const SLICE_BYTES = 1 << 20;
/** The number of slices in one statement, so that no statement takes long. */
const SLICES = 8;
const TIMEOUT_MS = 10_000;

/**
 * Returns the first `size` bytes of the artifact in Postgres, padded with zeros.
 * @param hash checked hex
 */
export async function readSlices(pool: pg.Pool, hash: string, size: number): Promise<Buffer> {
  const file = Buffer.alloc(size);
  for (let from = 0; from < size; ) {
    const text = `copy (select substring(bytes from at + 1 for ${SLICE_BYTES})
      from tandem.artifacts, generate_series(${from}, ${Math.min(from + (SLICES - 1) * SLICE_BYTES, size - 1)}, ${SLICE_BYTES}) at
      where hash = '${hash}' order by at) to stdout (format binary)`;
    const first = from;
    const take = createRowReader((bytes, at) => {
      const end = at + 4 + Math.max(0, bytes.readInt32BE(at));
      from += bytes.copy(file, from, at + 4, end);
      return end;
    });
    await withClient(pool, (client) => copyOut(client, { text, timeoutMs: TIMEOUT_MS }, take));
    if (from === first) break;
  }
  return file;
}

/** Returns the SHA-256 in hex, like createHash. */
export async function hashInSlices(bytes: Uint8Array): Promise<string> {
  const hash = createHash('sha256');
  for (let at = 0; at < bytes.length; at += SLICE_BYTES) {
    hash.update(bytes.subarray(at, at + SLICE_BYTES));
    await setImmediate();
  }
  return hash.digest('hex');
}

// A file can be uploaded in parts. An upload that takes longer than a request may take, or loses its connection,
// resumes at its last part. Only the hash identifies the parts of a file, so any client may repeat or finish an upload.
// A wrong part gives a file with another hash, and all its parts are discarded.

export interface ArtifactPart {
  readonly hash: string;
  /** The offset of its first byte in the file. */
  readonly firstByte: number;
  /** The size of the whole file. */
  readonly total: number;
  readonly bytes: Uint8Array;
}

/** Stores a part, and returns the stored bytes of the file from its beginning without a gap. */
export async function keepPart(pool: pg.Pool, { hash, firstByte, total, bytes }: ArtifactPart): Promise<number> {
  return transaction(pool, async (db) => {
    // Parts with another total size belong to another attempt at the same file. One of the two sizes is wrong.
    await changeRows(db, partsOf(hash).where('total', '<>', total));
    const part = { hash, first_byte: firstByte, total, bytes: bufferOf(bytes) };
    const put = statements
      .insertInto('tandem.artifact_parts')
      .values(part)
      .onConflict((row) =>
        row
          .columns(['hash', 'first_byte'])
          .doUpdateSet(({ ref }) => ({ bytes: ref('excluded.bytes'), uploaded_at: databaseNow() })),
      );
    await changeRows(db, put);
    return receivedBytes(db, hash);
  });
}

/** Returns the stored bytes of the file from its beginning without a gap. */
export async function receivedBytes(db: Db, hash: string): Promise<number> {
  const parts = placesOf(hash).select((eb) => eb.fn<number>('octet_length', ['bytes']).as('length'));
  return (await fetchRows(db, parts)).reduce(
    (received, { firstByte, length }) => (firstByte <= received ? Math.max(received, firstByte + length) : received),
    0,
  );
}

/** Returns the file, read part by part. The parts stay until `dropParts`. */
export async function joinParts(pool: pg.Pool, hash: string, total: number): Promise<Buffer> {
  const file = Buffer.alloc(total);
  for (const { firstByte } of await fetchRows(pool, placesOf(hash))) {
    const part = statements
      .selectFrom('tandem.artifact_parts')
      .select('bytes')
      .where(({ and }) => and({ hash, first_byte: firstByte }));
    (await fetchFirst(pool, part))?.bytes.copy(file, firstByte);
  }
  return file;
}

export async function dropParts(db: Db, hash: string): Promise<void> {
  await changeRows(db, partsOf(hash));
}

function partsOf(hash: string) {
  return statements.deleteFrom('tandem.artifact_parts').where('hash', '=', hash);
}

function placesOf(hash: string) {
  return statements
    .selectFrom('tandem.artifact_parts')
    .select('first_byte as firstByte')
    .where('hash', '=', hash)
    .orderBy('first_byte');
}
