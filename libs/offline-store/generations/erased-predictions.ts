/**
 * Predictions of erased users in generations. From a published generation each erasure deletes its user. A generation that
 * is being built is cleared of users erased since its chunks looked for them: page by page before the publication, so that
 * the lock which erasures wait for is left the few of the last moment.
 */
import type pg from 'pg';
import { deleteShadowMovers } from '../rollouts/shadow.ts';
import { type Db, query, sqlState } from '../sql/database.ts';
import { partitionOf } from '../sql/partition.ts';
import { writeKnown } from '../sql/protocol.ts';
import { awaitAssignments } from '../sql/settings.ts';
import { anyOf, fetchRows, statements } from '../sql/statements.ts';
import { deleteMovers } from './generation-reports.ts';

/** Generations that one transaction deletes from. Each takes two table locks; by its defaults Postgres has room for 6,400. */
const PARTITIONS = 50;
/** Erasures that one statement clears a generation of: 20 ms where the index is in memory. */
const PAGE = 2_000;

/** From all published generations, and from the reports of them and of shadows. Returns how many predictions went. */
export async function deletePredictionsOf(pool: pg.Pool, numbers: readonly number[]): Promise<number> {
  const published = await listPublished(pool);
  await writeKnown(pool, (db) => deleteMovers(db, numbers));
  await writeKnown(pool, (db) => deleteShadowMovers(db, numbers));
  let deleted = 0;
  for (let at = 0; at < published.length; at += PARTITIONS) {
    deleted += await deleteFromGenerations(pool, published.slice(at, at + PARTITIONS), numbers);
  }
  return deleted;
}

/**
 * In one order, so that two that delete the same user do not wait for each other.
 * @param among all if it is left out
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
    // A generation was dropped meanwhile, and its partition with it.
    const left = await listPublished(pool, ids);
    if (left.length === ids.length) throw error;
    return left.length === 0 ? 0 : deleteFromGenerations(pool, left, numbers);
  }
}

/**
 * Also updates the generations' counts, by which a loader knows whether Redis has all rows. Their rows come last, in
 * order and behind changes of assignments, which lock some of them too: they are held for the commit alone, and in no
 * circle.
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

/** Returns SQL that gives each generation that it deleted from, with the count. $1: numbers of erasures. */
function deleteFromAllSql(generationIds: readonly string[]): string {
  const deletes = generationIds.map((id, i) => `, gone_${i} as (${deleteErasedSql(id)})`);
  const counts = generationIds.map((id, i) => `select '${id}' as id, count(*)::int as gone from gone_${i}`);
  return `with erased as materialized (
      select user_id, deleted_version from tandem.erasures where number = any($1::bigint[])
    )${deletes.join('')}
    select id, gone from (${counts.join(' union all ')}) counted where gone > 0`;
}

/**
 * Returns SQL that deletes the predictions labelled up to the tombstones of `erased`. Row by row through the index: a plan
 * for a table that was never analysed might read all of it.
 */
function deleteErasedSql(generationId: string): string {
  const partition = partitionOf(generationId);
  return `delete from ${partition} where ctid = any (array(
    select p.ctid from erased t cross join lateral (
      select ctid from ${partition} where user_id = t.user_id and context_version <= t.deleted_version offset 0) p)) returning 1`;
}

/**
 * Deletes the predictions of users erased so far from a generation that is not published yet, and counts them there;
 * its partition has its index. No user is erased before a transaction with `lockAssignments` ends.
 */
export async function clearErased(db: Db, generationId: string, signal?: AbortSignal): Promise<void> {
  while (await clearPage(db, generationId)) signal?.throwIfAborted();
}

/** Returns whether there was anything to do. Numbers follow the order of commits: none below the last comes later. */
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
