/**
 * Restarts a run that a restore or a failover brought into another history. Its committed rows are true, but other
 * stores may hold wrong rows under its generation's id. In the lost past the same chunks continued, and Redis and the
 * memory of processes may hold those rows, with labels of lost events. So the generation gets a new id and all chunks
 * wait again. Rows under the old id are never read again.
 *
 * A published generation stays. All its chunks were committed in the surviving past, final and with true labels, so any
 * rows that the lost past wrote under its id are identical.
 */
import type { ClaimedChunk } from '@tandem/prediction/runs/runs';
import type pg from 'pg';
import { type Db, query, transaction } from '../sql/database.ts';
import { createPartition, dropPartition } from '../sql/partition.ts';
import { changeRows, currentHistory, fetchFirst, statements } from '../sql/statements.ts';
import { freeStep, lockChunks } from './run-rows.ts';

/**
 * Restarts a run. Safe to repeat and to call concurrently: a run of this history is not changed.
 * @param claimed a chunk whose claim found the run in another history. It waits again, even if another worker restarted
 * the run while that claim waited for the chunk's row
 */
export function restartRun(pool: pg.Pool, runId: string, claimed?: Pick<ClaimedChunk, 'no' | 'fence'>): Promise<void> {
  return transaction(pool, async (db) => {
    await lockChunks(db, runId);
    if (!(await takeAlong(db, runId))) {
      if (claimed) await unclaim(db, runId, claimed);
      return;
    }
    await changeRows(db, statements.deleteFrom('tandem.run_failures').where('run_id', '=', runId));
    await beginChunksAgain(db, runId);
    await replaceGeneration(db, runId);
  });
}

/** Brings the run into this history. Returns false if it has ended or is already in this history. */
async function takeAlong(db: Db, runId: string): Promise<boolean> {
  const rows = await query(db, {
    text: `update tandem.runs set history = tandem.current_history(), state = 'running', ${freeStep()},
        step_attempts = 0, step_error = null
      where id = $1 and state in ('running', 'publishing') and history <> tandem.current_history() returning id`,
    values: [runId],
  });
  return rows.length > 0;
}

/**
 * Resets the chunks. A planned chunk waits again with all its users. Chunks that were split off are done without users:
 * their numbers and fences must not be reused, since a worker may still hold them. Nothing of a budget is spent yet, so
 * users of dropped chunks are expected again.
 */
async function beginChunksAgain(db: Db, runId: string): Promise<void> {
  await query(db, {
    text: `update tandem.chunks set state = case when split_from is null then 'waiting' else 'committed' end,
        user_ids = case when split_from is null then user_ids else '{}' end, fence = fence + 1, attempts = 0, lost_leases = 0,
        lease_until = null, error = null, scored = 0, failed = 0, erased = null, loaded = false, committed_at = null,
        cpu_ms = null, worker = null, claimed_at = null
      where run_id = $1`,
    values: [runId],
  });
  await query(db, {
    text: `update tandem.runs set users_expected = (
        select coalesce(sum(cardinality(user_ids)), 0) from tandem.chunks where run_id = $1 and split_from is null)
      where id = $1 and exists (select from tandem.generations where run_id = $1 and base_id is not null)`,
    values: [runId],
  });
}

/**
 * Releases a claimed chunk. A restart raises the fence, so a fence equal to the claim's was assigned after the restart.
 */
async function unclaim(db: Db, runId: string, { no, fence }: Pick<ClaimedChunk, 'no' | 'fence'>): Promise<void> {
  const chunk = statements
    .updateTable('tandem.chunks')
    .set((eb) => ({ state: 'waiting', lease_until: null, attempts: eb('attempts', '-', 1) }))
    .where(({ and }) => and({ run_id: runId, no, fence, state: 'claimed' }));
  await changeRows(db, chunk);
}

/** Replaces the generation. Partitions come last, since they lock their parent until the commit. */
async function replaceGeneration(db: Db, runId: string): Promise<void> {
  const generation = statements
    .deleteFrom('tandem.generations')
    .where('run_id', '=', runId)
    .returning(['id', 'predictor', 'number', 'model_version_id', 'buckets', 'base_id', 'started_at']);
  const old = await fetchFirst(db, generation);
  if (!old) return;
  // With a base, all times count from the base's start.
  const { id, started_at, ...every } = old;
  const kept = old.base_id === null ? every : { ...every, started_at };
  const again = { ...kept, run_id: runId, history: currentHistory() };
  const generations = statements.insertInto('tandem.generations').values(({ selectFrom }) => ({
    ...again,
    cleared_erasures: selectFrom('tandem.settings').select('erasures'),
  }));
  const made = await fetchFirst(db, generations.returning('id'));
  await dropPartition(db, id);
  await createPartition(db, made?.id ?? '');
}
