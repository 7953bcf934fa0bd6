/**
 * Deletes predictions of erased users from generations. Each erasure deletes its user from published generations. A
 * generation that is being built is cleared of users that were erased after its chunks had looked for erased users.
 * This happens page by page before the publication, so that only a few users remain under the lock that erasures wait
 * for.
 */
import { partsOf } from '@tandem/prediction/parts';
import type pg from 'pg';
import { countChanged, type Db, query, sqlState } from '../sql/database.ts';
import { partitionOf } from '../sql/partition.ts';
import { writeKnown } from '../sql/protocol.ts';
import { awaitAssignments } from '../sql/settings.ts';
import { anyOf, fetchRows, statements } from '../sql/statements.ts';
import { deleteMovers } from './generation-reports.ts';

/**
 * The maximum number of generations in one transaction. Each takes two table locks; by default Postgres has room for
 * 6,400.
 */
const PARTITIONS = 50;
/** The maximum number of erasures in one statement, which takes 20 ms if the index is in memory. */
const PAGE = 2_000;

/**
 * Deletes predictions from all published generations, and from their reports and shadows' reports. Returns the number
 * of deleted predictions.
 */
export async function deletePredictionsOf(pool: pg.Pool, numbers: readonly number[]): Promise<number> {
  const published = await listPublished(pool);
  await writeKnown(pool, (db) => deleteMovers(db, numbers));
  await writeKnown(pool, (db) => deleteShadowMovers(db, numbers));
  let deleted = 0;
  for (const some of partsOf(published, PARTITIONS)) deleted += await deleteFromGenerations(pool, some, numbers);
  return deleted;
}

/**
 * Returns the published generations in one fixed order, so that concurrent deletes of a user do not deadlock.
 * @param among the generations to include; default: all
 */
async function listPublished(db: Db, among?: readonly string[]): Promise<readonly string[]> {
  const published = statements.selectFrom('tandem.generations').select('id').where('state', '=', 'published');
  const rows = await fetchRows(db, (among ? published.where('id', '=', anyOf(among)) : published).orderBy('id'));
  return rows.map(({ id }) => id);
}

async function deleteFromGenerations(
  pool: pg.Pool,
  ids: readonly string[],
  numbers: readonly number[],
): Promise<number> {
  try {
    return await writeKnown(pool, (db) => deleteCounted(db, ids, numbers));
  } catch (error) {
    if (sqlState(error) !== '42P01') throw error;
    // A generation was dropped concurrently, with its partition.
    const left = await listPublished(pool, ids);
    if (left.length === ids.length) throw error;
    return left.length === 0 ? 0 : deleteFromGenerations(pool, left, numbers);
  }
}

/**
 * Deletes predictions, and updates the generations' counts, by which a loader knows whether Redis has all rows. The
 * generations' rows are locked last, in a fixed order and after changes of assignments, which also lock some of them.
 * So they are locked only for the commit, and without deadlocks.
 */
async function deleteCounted(db: Db, generationIds: readonly string[], numbers: readonly number[]): Promise<number> {
  const text = deleteFromAllSql(generationIds);
  const counted = await query<{ id: string; gone: number }>(db, { text, values: [numbers] });
  if (counted.length === 0) return 0;
  await awaitAssignments(db);
  await query(db, {
    text: `update tandem.generations g set users = greatest(0, g.users - l.gone) from (
        select k.id, c.gone from tandem.generations k join unnest($1::uuid[], $2::int[]) as c(id, gone) on c.id = k.id
        order by k.id for no key update of k
      ) l where g.id = l.id`,
    values: [counted.map(({ id }) => id), counted.map(({ gone }) => gone)],
  });
  return counted.reduce((sum, { gone }) => sum + gone, 0);
}

/** Returns SQL that deletes, and returns each affected generation with its count. $1: the numbers of the erasures. */
function deleteFromAllSql(generationIds: readonly string[]): string {
  const deletes = generationIds.map((id, i) => `, gone_${i} as (${deleteErasedSql(id)})`);
  const counts = generationIds.map((id, i) => `select '${id}' as id, count(*)::int as gone from gone_${i}`);
  return `with erased as materialized (
      select user_id, deleted_version from tandem.erasures where number = any($1::bigint[])
    )${deletes.join('')}
    select id, gone from (${counts.join(' union all ')}) counted where gone > 0`;
}

/**
 * Returns SQL that deletes the predictions labelled up to the tombstones of `erased`. It goes row by row through the
 * index, since a plan for a table that was never analysed might read the whole table.
 */
function deleteErasedSql(generationId: string): string {
  const partition = partitionOf(generationId);
  return `delete from ${partition} where ctid = any (array(
    select p.ctid from erased t cross join lateral (
      select ctid from ${partition} where user_id = t.user_id and context_version <= t.deleted_version offset 0) p)) returning 1`;
}

/**
 * Deletes the predictions of users that were erased so far from an unpublished generation, and updates its count. Its
 * partition must have its index. While a transaction holds `lockAssignments`, no user is erased.
 */
export async function clearErased(db: Db, generationId: string, signal?: AbortSignal): Promise<void> {
  while (await clearPage(db, generationId)) signal?.throwIfAborted();
}

/**
 * Clears one page. Returns whether there was anything to do. Erasure numbers follow the order of commits, so none below
 * the last can appear later.
 */
async function clearPage(db: Db, generationId: string): Promise<boolean> {
  const cleared = await query(db, {
    text: `with building as (
        select cleared_erasures from tandem.generations where id = $1 and state = 'building' for no key update
      ), erased as materialized (
        select number, user_id, deleted_version from tandem.erasures
        where number > (select cleared_erasures from building) order by number limit ${PAGE}
      ), gone as (${deleteErasedSql(generationId)})
      update tandem.generations set cleared_erasures = (select max(number) from erased),
        erased_users = erased_users + (select count(*) from gone)
      where id = $1 and exists (select from erased) returning 1`,
    values: [generationId],
  });
  return cleared.length > 0;
}

/** Deletes details of shadows of erased users, up to their tombstones; returns the number of rows. */
export function deleteShadowMovers(db: Db, numbers: readonly number[]): Promise<number> {
  return countChanged(db, {
    text: `delete from tandem.shadow_movers m using tandem.erasures t
      where t.number = any($1::bigint[]) and m.user_id = t.user_id and m.context_version <= t.deleted_version`,
    values: [numbers],
  });
}
