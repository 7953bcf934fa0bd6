/**
 * Predictions of erased users in generations. Published generations have an index by user; one that is being built has
 * none until it is published, when it is cleared of whoever was erased meanwhile.
 */
import type pg from 'pg';
import { deleteShadowMovers } from '../rollouts/shadow.ts';
import { type Db, execute, query, transaction } from '../sql/database.ts';
import { partitionOf } from '../sql/partition.ts';
import { deleteMovers } from './generation-reports.ts';

/** In all published generations, each by itself, and in the reports of them and of shadows; how many predictions went. */
export async function deletePredictionsOf(pool: pg.Pool, numbers: readonly number[]): Promise<number> {
  const published = await query<{ id: string }>(pool, {
    text: `select id from tandem.generations where state = 'published'`,
  });
  await deleteMovers(pool, numbers);
  await deleteShadowMovers(pool, numbers);
  let deleted = 0;
  for (const { id } of published) deleted += await transaction(pool, (db) => deleteCounted(db, id, numbers));
  return deleted;
}

/**
 * With the generation's count, which tells a loader whether Redis has all of it. The generation's row first, as whoever
 * drops one does: its partition is there for as long as that is locked.
 */
async function deleteCounted(db: Db, id: string, numbers: readonly number[]): Promise<number> {
  const found = await query(db, {
    text: `select from tandem.generations where id = $1 and state = 'published' for no key update`,
    values: [id],
  });
  if (found.length === 0) return 0;
  const gone = await deleteFrom(db, id, numbers);
  if (gone > 0) {
    await query(db, {
      text: 'update tandem.generations set users = greatest(0, users - $2) where id = $1',
      values: [id, gone],
    });
  }
  return gone;
}

/**
 * In one generation, those labelled up to the tombstone of their user.
 * @param numbers of erasures; null: of all there are
 */
export async function deleteFrom(db: Db, generationId: string, numbers: readonly number[] | null): Promise<number> {
  const { rowCount } = await execute(db, {
    text: `delete from ${partitionOf(generationId)} p using tandem.erasures t
      where p.user_id = t.user_id and p.context_version <= t.deleted_version
        ${numbers === null ? '' : 'and t.number = any($1::bigint[])'}`,
    values: numbers === null ? [] : [numbers],
  });
  return rowCount ?? 0;
}
