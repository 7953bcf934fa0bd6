/** Chunks and their claims: compare-and-set with a fence, and a lease on Postgres' clock. */

import type { ChunkRef } from '@tandem/prediction/runs/run-store';
import type { ClaimedChunk, DeadChunk } from '@tandem/prediction/runs/runs';
import type { KeyRange } from '@tandem/prediction/scoring/feature-source';
import { sql } from 'kysely';
import type pg from 'pg';
import { type Db, query, transaction } from '../sql/database.ts';
import { KNOWS_PROTOCOL, knowsProtocol } from '../sql/protocol.ts';
import { changeRows, fetchFirst, fromNow, statements } from '../sql/statements.ts';
import { restartRun } from './restart-run.ts';
import { leaseOver, lockRun, MAX_CLAIMS, setRunState } from './run-rows.ts';

const LEASE_OVER = leaseOver('c.lease_until');

/**
 * Selects chunks that wait or have an expired lease, in the order of the plan. Chunks that were split off keep the rank
 * of their original chunk. A run without an open chunk proceeds to publication.
 */
export async function listClaimable(pool: pg.Pool, runId: string, limit: number): Promise<readonly ChunkRef[]> {
  const refs = await query<ChunkRef>(pool, {
    text: `select c.run_id as "runId", c.no, c.fence from tandem.chunks c join tandem.runs r on r.id = c.run_id
      where c.run_id = $1 and r.state = 'running'
        and (c.state = 'waiting' or (c.state = 'claimed' and ${LEASE_OVER}))
      order by coalesce(c.split_from, c.no), c.no limit $2`,
    values: [runId, limit],
  });
  if (refs.length === 0) await startPublishing(pool, runId);
  return refs;
}

/**
 * Marks a run whose chunks are all finished, so that the reconciler finds it even if every hint was lost. Returns the
 * number of open chunks.
 */
export async function startPublishing(db: Db, runId: string): Promise<number> {
  const rows = await query<{ open: number }>(db, {
    text: `with counted as (
        select count(*) as open from tandem.chunks where run_id = $1 and state in ('waiting', 'claimed')
      ), marked as (
        update tandem.runs set state = 'publishing'
        where id = $1 and state = 'running' and (select open from counted) = 0 and ${KNOWS_PROTOCOL}
      ) select open from counted`,
    values: [runId],
  });
  return rows[0]?.open ?? 0;
}

interface ChunkRow {
  readonly fence: number;
  readonly attempts: number;
  readonly userIds: string[] | null;
  readonly from: KeyRange['from'];
  readonly to: KeyRange['to'];
}

interface Claiming {
  /** The claiming process. */
  readonly worker: string;
  readonly leaseMs: number;
  readonly maxClaims?: number | undefined;
}

/**
 * Claims a chunk; returns null if there is none to claim. A chunk that `maxClaims` workers in a row claimed and never
 * released fails instead, and so does its run, as in `giveBackChunk`. A run that a failover or restore brought into
 * another history is first restarted (restart-run.ts), and then the chunk is claimed.
 */
export async function claimChunk(
  pool: pg.Pool,
  claiming: Claiming,
  runId: string,
  no: number,
): Promise<ClaimedChunk | DeadChunk | null> {
  const { worker, leaseMs, maxClaims = MAX_CLAIMS } = claiming;
  const rows = await query<ChunkRow & { moved: boolean; takenOver: boolean }>(pool, {
    text: `update tandem.chunks c set state = 'claimed', fence = fence + 1, attempts = attempts + 1,
        lost_leases = lost_leases + case c.state when 'claimed' then 1 else 0 end, lease_until = clock_timestamp() + $3 * interval '1 ms',
        worker = $5, claimed_at = clock_timestamp()
      from tandem.runs r
      where c.run_id = $1 and c.no = $2 and r.id = c.run_id and r.state = 'running' and ${KNOWS_PROTOCOL}
        and (c.state = 'waiting'
          or (c.state = 'claimed' and ${LEASE_OVER} and c.lost_leases + 1 < $4))
      returning c.fence, c.attempts, c.user_ids as "userIds", c.from_key as "from", c.to_key as "to",
        c.lost_leases > 0 as "takenOver", r.history <> tandem.current_history() as moved`,
    values: [runId, no, leaseMs, maxClaims, worker],
  });
  const [row] = rows;
  if (!row) return failDeadly(pool, runId, no, maxClaims);
  if (row.moved) {
    await restartRun(pool, runId, { no, fence: row.fence });
    return claimChunk(pool, claiming, runId, no);
  }
  const { fence, attempts, takenOver, userIds, from, to } = row;
  return { runId, no, fence, attempts, takenOver, part: userIds === null ? { range: { from, to } } : { userIds } };
}

async function failDeadly(pool: pg.Pool, runId: string, no: number, maxClaims: number): Promise<DeadChunk | null> {
  const [failed] = await query<{ error: string; fence: number }>(pool, {
    text: `update tandem.chunks c set state = 'failed', lease_until = null,
        error = 'its worker died ' || $3 || ' times in a row' || coalesce('; before that: ' || c.error, '')
      from tandem.runs r
      where c.run_id = $1 and c.no = $2 and c.state = 'claimed' and ${LEASE_OVER}
        and c.lost_leases + 1 >= $3::int and r.id = c.run_id and r.state = 'running' and ${KNOWS_PROTOCOL} returning c.error, c.fence`,
    values: [runId, no, maxClaims],
  });
  // This is a separate statement, since nearly every failed claim found the chunk taken. A kill in between leaves the
  // run without an open chunk: it proceeds to publication, and fails there.
  if (!failed) return null;
  await transaction(pool, (db) => failRunOfLast(db, runId, no, failed.error));
  return { fence: failed.fence, takenOver: true, failed: failed.error };
}

/** Fails the run of a failed chunk if no chunk is open any more. Otherwise the run fails when it would be published. */
async function failRunOfLast(db: Db, runId: string, no: number, error: string): Promise<void> {
  // The chunk is locked before the run, as in a commit.
  const run = await lockRun(db, runId);
  if (run.state === 'running' && (await startPublishing(db, runId)) === 0) {
    await setRunState(db, runId, 'failed', `chunk ${no} failed: ${error.slice(0, 500)}`);
  }
}

/** Extends the lease. Returns false if the fence is lost, the run has ended, or the schema's protocol is unknown. */
export async function renewLease(pool: pg.Pool, { runId, no, fence }: ClaimedChunk, leaseMs: number): Promise<boolean> {
  const claimed = statements
    .updateTable('tandem.chunks as c')
    .from('tandem.runs as r')
    .set({ lease_until: fromNow(leaseMs) })
    .where(({ and }) => and({ 'c.run_id': runId, 'c.no': no, 'c.fence': fence, 'c.state': 'claimed' }))
    .whereRef('r.id', '=', 'c.run_id')
    .where('r.state', '=', 'running')
    .where(knowsProtocol);
  return (await changeRows(pool, claimed)) > 0;
}

/**
 * Returns a chunk after an error; after `maxAttempts` it fails. The other chunks of its run are still processed, and
 * then the run fails, too: immediately if this was the last open chunk, else when it would be published.
 */
export async function giveBackChunk(
  pool: pg.Pool,
  { runId, no, fence }: ClaimedChunk,
  error: string,
  maxAttempts: number,
): Promise<'waiting' | 'failed' | 'fence_lost'> {
  return transaction(pool, async (db) => {
    const next = sql<'waiting' | 'failed'>`case when attempts >= ${maxAttempts} then 'failed' else 'waiting' end`;
    const given = statements
      .updateTable('tandem.chunks')
      .set({ lease_until: null, lost_leases: 0, error: error.slice(0, 2_000), state: next })
      .where(({ and }) => and({ run_id: runId, no, fence, state: 'claimed' }))
      .where(knowsProtocol)
      .returning('state')
      .$narrowType<{ state: 'waiting' | 'failed' }>();
    const state = (await fetchFirst(db, given))?.state;
    if (state === undefined) return 'fence_lost';
    if (state === 'failed') await failRunOfLast(db, runId, no, error);
    return state;
  });
}

/** Releases a chunk as if it had not been claimed. Does nothing if the fence is lost or the run has ended. */
export async function releaseChunk(pool: pg.Pool, { runId, no, fence }: ClaimedChunk): Promise<void> {
  await query(pool, {
    text: `update tandem.chunks c set state = 'waiting', lease_until = null, lost_leases = 0, attempts = attempts - 1
      from tandem.runs r where c.run_id = $1 and c.no = $2 and c.fence = $3 and c.state = 'claimed'
        and r.id = c.run_id and r.state = 'running' and ${KNOWS_PROTOCOL}`,
    values: [runId, no, fence],
  });
}

/** Returns whether no chunk of the run waits, so that a free worker finds nothing to do. */
export async function isDry(pool: pg.Pool, runId: string): Promise<boolean> {
  const waiting = statements.selectFrom('tandem.chunks').select('no').where('run_id', '=', runId);
  return (await fetchFirst(pool, waiting.where('state', '=', 'waiting').limit(1))) === undefined;
}

export async function markLoaded(pool: pg.Pool, runId: string, no: number): Promise<void> {
  const chunk = statements.updateTable('tandem.chunks').where(({ and }) => and({ run_id: runId, no }));
  await changeRows(pool, chunk.set({ loaded: true }).where(knowsProtocol));
}
