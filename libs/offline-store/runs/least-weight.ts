/** Estimates which users a run with a budget need not read, since enough other users are read more often. */
import { type Db, query } from '../sql/database.ts';
import { outdatedSql } from './stale-users.ts';

/** The assumed maximum duration of a transaction that raises a version, far above the real one. */
const COMMIT_SECONDS = 10;
/** SQL for whether context `c` may have changed since the base was begun, at $6. */
export const CHANGED_SINCE = `c.updated_at >= $6::timestamptz - interval '${COMMIT_SECONDS} s'`;

/** The number of outdated users in a sample, for an error of about 5 %. */
const SAMPLED_USERS = 500;
/** The largest sample. A larger one would cost more than it saves. */
const MOST_SAMPLED = 1 / 20;
/** The factor of additional users, since a sample is inexact. */
const SPARE = 1.25;

/**
 * Returns the weight of reads above which there are enough outdated users for the budget, estimated from a sample of
 * the counts. Fewer users are then joined and sorted: 130,000 of 880,000 for a budget of 100,000. Returns null if too
 * few users are outdated, or if the budget is too small for a sample.
 * @param stored `staleValues` and when the base was begun: $1 to $6
 * @param most the number of users that the budget covers
 */
export async function findLeastWeight(
  db: Db,
  stored: readonly unknown[],
  most: number,
  timeoutMs: number,
): Promise<number | null> {
  const share = SAMPLED_USERS / most;
  if (share > MOST_SAMPLED) return null;
  const rows = await query<{ weight: number }>(db, {
    text: `select d.log_weight as weight from tandem.read_demand d tablesample bernoulli ($7::float4)
      cross join lateral (select ${outdatedSql('null')} and ${CHANGED_SINCE} and c.user_id = d.user_id offset 0) outdated
      order by d.log_weight desc offset $8 limit 1`,
    values: [...stored.slice(0, 6), 100 * share, Math.ceil(SPARE * SAMPLED_USERS) - 1],
    timeoutMs,
  });
  return rows[0]?.weight ?? null;
}
