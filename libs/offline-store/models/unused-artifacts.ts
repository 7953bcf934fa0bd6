/**
 * Removes uploaded files that no model version uses: mostly rejected models, and parts of abandoned uploads. They are
 * kept for a day after they were last sent. A later push must upload its file again.
 */
import type pg from 'pg';
import { query, queryOne } from '../sql/database.ts';
import { changeRows, statements } from '../sql/statements.ts';
import type { Bucket } from './artifacts.ts';

const KEPT = `interval '1 day'`;
/** The maximum number of objects in one call. */
const MOST_OBJECTS = 1_000;

/** Returns the total size of the files and parts that no model version uses. */
export async function countUnusedBytes(pool: pg.Pool): Promise<number> {
  const { bytes } = await queryOne<{ bytes: number }>(pool, {
    text: `select (select coalesce(sum(size), 0) from tandem.artifacts a
        where not exists (select from tandem.model_versions m where m.artifact_hash = a.hash))::bigint
      + (select coalesce(sum(octet_length(bytes)), 0) from tandem.artifact_parts)::bigint as bytes`,
  });
  return bytes;
}

/**
 * Removes files that no model version has used for a day. Objects are removed by the list of all recorded locations,
 * which includes uploads that were killed before their row was written. Returns the number of files and objects.
 */
export async function removeUnused(pool: pg.Pool, bucket: Bucket | null): Promise<number> {
  await query(pool, { text: `delete from tandem.artifact_parts where uploaded_at < clock_timestamp() - ${KEPT}` });
  const files = await query(pool, {
    text: `with gone as (delete from tandem.artifacts where hash in (
        select a.hash from tandem.artifacts a where a.created_at < clock_timestamp() - ${KEPT}
          and not exists (select from tandem.model_versions m where m.artifact_hash = a.hash)
        for update skip locked) returning location, created_at),
      -- Put by the release before, which did not note its objects.
      noted as (insert into tandem.artifact_objects (location, put_at)
        select location, created_at from gone where location is not null on conflict do nothing)
      select from gone`,
  });
  // A process that does not know the bucket leaves its objects to other processes.
  return files.length + (bucket === null ? 0 : await removeObjects(pool, bucket));
}

async function removeObjects(pool: pg.Pool, bucket: Bucket): Promise<number> {
  const unused = await query<{ location: string }>(pool, {
    text: `select location from tandem.artifact_objects o where put_at < clock_timestamp() - ${KEPT}
        and not exists (select from tandem.artifacts a where a.location = o.location)
      order by put_at limit ${MOST_OBJECTS}`,
  });
  for (const { location } of unused) {
    await bucket.remove(location);
    await changeRows(pool, statements.deleteFrom('tandem.artifact_objects').where('location', '=', location));
  }
  return unused.length;
}
