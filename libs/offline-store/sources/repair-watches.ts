/**
 * Detects and repairs what event triggers do not: watches whose triggers were disabled or removed, and changes of the
 * schema where no event trigger exists. One worker does it every few seconds for all workers.
 */
import { isTandemError } from '@tandem/freshness/errors';
import type { Turns } from '@tandem/prediction/runs/turns';
import type pg from 'pg';
import type { Pools } from '../features/feature-session.ts';
import { query, sqlState } from '../sql/database.ts';
import { isRefusal } from '../sql/rights.ts';
import { lookupDepth } from './lookup-key.ts';
import type { WatchRequest } from './watch-request.ts';
import { watchSource } from './watch-source.ts';
import { examineWatches } from './watched-relations.ts';

/** If Postgres stops during a round, the lease keeps other workers from the next one. */
const TURN = { everyMs: 3_000, leaseMs: 20_000 };
/** How long writers of a table may wait behind the repair. */
const LOCK_TIMEOUT = '100ms';
const LOCK_NOT_AVAILABLE = '55P03';
/** The pause after a failed repair: each attempt parses the feature queries. A held lock is tried again in the next round. */
const RETRY_MS = 30_000;

/**
 * Creates the round. It resolves with the number of watches that still have a fault, or 0 if another worker has done it.
 */
export function createExamineWatches(pools: Pools, turns: Turns): () => Promise<number> {
  // When a failed repair is tried again, in monotonic ms.
  const retries = new Map<number, number>();
  const examine = async () => {
    await examineWatches(pools.pool, pools.features);
    const faulted = (await listFaulted(pools.pool)).sort((a, b) => lookupDepth(a.key) - lookupDepth(b.key));
    for (const { id, hasKeyFault, ...request } of faulted) {
      if ((retries.get(id) ?? 0) > performance.now()) continue;
      retries.set(id, performance.now() + RETRY_MS);
      if (!(await isRepairRefused(pools, request, hasKeyFault))) retries.delete(id);
    }
    const left = await listFaulted(pools.pool);
    for (const id of retries.keys()) if (!left.some((one) => one.id === id)) retries.delete(id);
    return left.length;
  };
  return async () => (await turns.take('watches', TURN, examine)) ?? 0;
}

/** Repairs a watch, unless a writer is in the way. Returns whether its key or a right does not allow the repair. */
async function isRepairRefused(
  { pool, features }: Pools,
  request: WatchRequest,
  hasKeyFault: boolean,
): Promise<boolean> {
  // Open transactions may hold changes whose key failed. The lock of new triggers waits for their end.
  const keepsTriggers = !hasKeyFault;
  try {
    await watchSource(pool, request, { features, lockTimeout: LOCK_TIMEOUT, keepsTriggers });
    return false;
  } catch (error) {
    if (isTandemError(error, 'unavailable') || sqlState(error) === LOCK_NOT_AVAILABLE) return false;
    if (isTandemError(error, 'config_invalid') || isRefusal(error)) return true;
    throw error;
  }
}

interface Faulted extends WatchRequest {
  readonly id: number;
  readonly hasKeyFault: boolean;
}

function listFaulted(pool: pg.Pool): Promise<Faulted[]> {
  return query(pool, {
    // A table that was replaced by another of its name gives its watch to that one.
    text: `select w.id, coalesce(r.name, w.name) as table, w.key, w.columns, w.predictors, w.max_users as "maxUsers",
        'worker' as actor, exists (select from tandem.watch_faults where watch = w.id and reason = 'key') as "hasKeyFault"
      from tandem.watched_sources w left join tandem.watched_relations r on r.watch = w.id and r.part = 'table'
      where w.id in (select watch from tandem.watch_faults) order by w.id`,
  });
}
