/**
 * Artifacts: model files under their SHA-256, which never change. A row of Postgres each, with the bytes, or with where
 * they lie in a bucket. What is read is hashed again, wherever it lay: nothing else is ever loaded.
 */
import { createHash } from 'node:crypto';
import { TandemError } from '@tandem/freshness/errors';
import type pg from 'pg';
import { type Db, query } from '../sql/database.ts';
import { hashInSlices, readSlices } from './artifact-slices.ts';

export const ARTIFACT_HASH = /^[0-9a-f]{64}$/;

/** Port: where artifacts lie. */
export interface ArtifactStore {
  /** Bytes of its file; null: it is not there. */
  sizeOf(hash: string): Promise<number | null>;
  /** To repeat it changes nothing. Rejects with `model_refused` where the bytes have another hash. */
  put(hash: string, bytes: Uint8Array): Promise<void>;
  /** Rejects with `model_refused` where it is missing or damaged. */
  get(hash: string): Promise<Buffer>;
}

/** Port: a store of files outside of Postgres. Both reject with `unavailable` where it does not answer. */
export interface Bucket {
  /** Gives the location. */
  put(hash: string, bytes: Uint8Array): Promise<string>;
  /** Null: nothing is there. */
  get(location: string): Promise<Buffer | null>;
}

/** @param bucket where the bytes of new ones go; null: into Postgres */
export function createArtifactStore(pool: pg.Pool, bucket: Bucket | null = null): ArtifactStore {
  return {
    async sizeOf(hash) {
      const [row] = await query<{ size: number }>(pool, {
        text: 'select size from tandem.artifacts where hash = $1',
        values: [hash],
      });
      return row?.size ?? null;
    },
    async put(hash, bytes) {
      if ((await hashInSlices(bytes)) !== hash)
        throw notItself(hash, 'came damaged', 'send the file again, under its own SHA-256');
      await dropUnused(pool);
      if (bucket === null) return insertArtifact(pool, hash, bytes);
      const location = await bucket.put(hash, bytes);
      await query(pool, {
        text: 'insert into tandem.artifacts (hash, location, size) values ($1, $2, $3) on conflict do nothing',
        values: [hash, location, bytes.length],
      });
    },
    get: (hash) => findArtifact(pool, hash, bucket),
  };
}

/** Into Postgres, also inside a transaction; the bytes' hash has been checked. */
export async function insertArtifact(db: Db, hash: string, bytes: Uint8Array): Promise<void> {
  await query(db, {
    text: 'insert into tandem.artifacts (hash, bytes, size) values ($1, $2, $3) on conflict do nothing',
    values: [hash, Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength), bytes.byteLength],
  });
}

/** Those that became no version within a day: refused ones, above all. Whoever pushes one after all sends it again. */
async function dropUnused(pool: pg.Pool): Promise<void> {
  await query(pool, {
    text: `delete from tandem.artifacts where hash in (
      select a.hash from tandem.artifacts a where a.created_at < clock_timestamp() - interval '1 day'
        and not exists (select from tandem.model_versions m where m.artifact_hash = a.hash)
      for update skip locked)`,
  });
}

async function findArtifact(pool: pg.Pool, hash: string, bucket: Bucket | null): Promise<Buffer> {
  const [row] = await query<{ size: number; location: string | null }>(pool, {
    text: 'select size, location from tandem.artifacts where hash = $1',
    values: [hash],
  });
  const remedy = 'push or adopt it again where the file is whole: tandem model push, tandem up';
  if (!row) throw notItself(hash, 'is missing', remedy);
  if (row.location !== null && bucket === null) {
    throw notItself(hash, 'lies in a bucket that this process does not know', 'set ARTIFACT_URL here as elsewhere');
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
