/**
 * A run that a restore or a failover brought into another history begins again. What it had committed is true, but not all
 * of what lies under its generation's id elsewhere: in the past that is lost the same chunks went on, and Redis and the
 * memory of processes may hold those rows, with labels of events that were lost. So the generation gets an id that nobody
 * has seen, and every chunk waits; rows under the old id are never asked for again.
 */
import type pg from 'pg';
import { type Db, query, transaction } from './database.ts';
import { createPartition, dropPartition } from './partition.ts';

/** Safe to repeat, and by several at once: a run that is of this history already stays as it is. */
export function restartRun(pool: pg.Pool, runId: string): Promise<void> {
  return transaction(pool, async (db) => {
    // The chunks before the run, as a commit does.
    await query(db, { text: 'select from tandem.chunks where run_id = $1 order by no for update', values: [runId] });
    if (!(await takeAlong(db, runId))) return;
    await query(db, { text: 'delete from tandem.run_failures where run_id = $1', values: [runId] });
    await query(db, {
      text: `update tandem.chunks set state = 'waiting', fence = fence + 1, attempts = 0, lost_leases = 0,
          lease_until = null, error = null, scored = 0, failed = 0, loaded = false where run_id = $1`,
      values: [runId],
    });
    await replaceGeneration(db, runId);
  });
}

/** Brings the run into this history; false where it has ended, or is there already. */
async function takeAlong(db: Db, runId: string): Promise<boolean> {
  const rows = await query(db, {
    text: `update tandem.runs set history = tandem.current_history()
      where id = $1 and state = 'running' and history <> tandem.current_history() returning id`,
    values: [runId],
  });
  return rows.length > 0;
}

/** Partitions come last: they lock their parent until the commit. */
async function replaceGeneration(db: Db, runId: string): Promise<void> {
  const [old] = await query<{ id: string; predictor: string; number: number; modelVersionId: string; buckets: number }>(
    db,
    {
      text: `delete from tandem.generations where run_id = $1
        returning id, predictor, number, model_version_id as "modelVersionId", buckets`,
      values: [runId],
    },
  );
  if (!old) return;
  const [made] = await query<{ id: string }>(db, {
    text: `insert into tandem.generations (predictor, number, model_version_id, run_id, history, buckets)
      values ($1, $2, $3, $4, tandem.current_history(), $5) returning id`,
    values: [old.predictor, old.number, old.modelVersionId, runId, old.buckets],
  });
  await dropPartition(db, old.id);
  await createPartition(db, made?.id ?? '');
}
