/**
 * Predictions of erased users in generations. Published generations have an index by user; one that is being built has
 * none until it is published, when it is cleared of whoever was erased meanwhile.
 */
import { sql } from 'kysely';
import type pg from 'pg';
import { deleteShadowMovers } from '../rollouts/shadow.ts';
import { type Db, execute, transaction } from '../sql/database.ts';
import { partitionOf } from '../sql/partition.ts';
import { changeRows, fetchFirst, fetchRows, statements } from '../sql/statements.ts';
import { deleteMovers } from './generation-reports.ts';

/** In all published generations, each by itself, and in the reports of them and of shadows; how many predictions went. */
export async function deletePredictionsOf(pool: pg.Pool, numbers: readonly number[]): Promise<number> {
  const published = await fetchRows(pool, publishedGenerations());
  await deleteMovers(pool, numbers);
  await deleteShadowMovers(pool, numbers);
  let deleted = 0;
  for (const { id } of published) deleted += await transaction(pool, (db) => deleteCounted(db, id, numbers));
  return deleted;
}

function publishedGenerations() {
  return statements.selectFrom('tandem.generations').select('id').where('state', '=', 'published');
}

/**
 * With the generation's count, which tells a loader whether Redis has all of it. The generation's row first, as whoever
 * drops one does: its partition is there for as long as that is locked.
 */
async function deleteCounted(db: Db, id: string, numbers: readonly number[]): Promise<number> {
  if (!(await fetchFirst(db, publishedGenerations().where('id', '=', id).forNoKeyUpdate()))) return 0;
  const gone = await deleteFrom(db, id, numbers);
  if (gone > 0) {
    const users = sql<number>`greatest(0, users - ${gone})`;
    await changeRows(db, statements.updateTable('tandem.generations').set({ users }).where('id', '=', id));
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
