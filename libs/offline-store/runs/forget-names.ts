/** Chunks name users no longer than their run may need it: a name there is found by no erasure. */
import type pg from 'pg';
import { type Db, query } from '../sql/database.ts';
import { changeRows, statements } from '../sql/statements.ts';
import { lockChunks } from './run-rows.ts';

/** A cancelled or failed run without a generation may be resumed for as long as one whose generation was never published. */
const RESUMABLE = `interval '24 hours'`;

/**
 * Forgets the names of a run that is done, which is never resumed. After its commit, since a million names take a while; where
 * it fails they stay as long as the run.
 */
export async function forgetNames(pool: pg.Pool, runId: string): Promise<void> {
  await changeRows(pool, emptied(runId)).catch(() => undefined);
}

function emptied(runId: string) {
  const chunks = statements.updateTable('tandem.chunks').set({ user_ids: [] }).where('run_id', '=', runId);
  return chunks.where('user_ids', 'is not', null);
}

/** Forgets the names of some cancelled and failed runs that cannot be resumed any more; returns of how many. */
export async function expireNames(db: Db, most: number): Promise<number> {
  const text = `select r.id from tandem.runs r left join tandem.generations g on g.run_id = r.id
    where r.state in ('cancelled', 'failed')
      and case when g.id is null then r.finished_at < clock_timestamp() - ${RESUMABLE} else g.state = 'dropped' end
      and exists (select from tandem.chunks c where c.run_id = r.id and cardinality(c.user_ids) > 0)`;
  const ended = await query<{ id: string }>(db, { text: `${text} limit $1`, values: [most] });
  for (const { id } of ended) {
    // As a resumption does: one that came first has its names.
    await lockChunks(db, id);
    const [still] = await query<{ id: string }>(db, { text: `${text} and r.id = $1`, values: [id] });
    if (still) await changeRows(db, emptied(id));
  }
  return ended.length;
}
