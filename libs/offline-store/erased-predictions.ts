/**
 * Predictions of erased users in generations. Published generations have an index by user; one that is being built has
 * none until it is published, when it is cleared of whoever was erased meanwhile.
 */
import { type Db, execute, query, sqlState } from './database.ts';
import { partitionOf } from './partition.ts';

/** In all published generations, each by itself; how many rows went. */
export async function deletePredictionsOf(db: Db, numbers: readonly number[]): Promise<number> {
  const published = await query<{ id: string }>(db, {
    text: `select id from tandem.generations where state = 'published'`,
  });
  let deleted = 0;
  for (const { id } of published) {
    const gone = await deleteFrom(db, id, numbers).catch((error: unknown) => {
      // It was dropped since it was listed.
      if (sqlState(error) === '42P01') return 0;
      throw error;
    });
    // A generation's count tells a loader whether Redis has all of it.
    if (gone > 0) await execute(db, { text: REDUCE, values: [id, gone] });
    deleted += gone;
  }
  return deleted;
}

const REDUCE = 'update tandem.generations set users = greatest(0, users - $2) where id = $1';

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
