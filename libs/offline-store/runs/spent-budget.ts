/**
 * Ends a budget in CPU minutes. The cost of a user was an estimate, so chunks that still wait when the minutes are
 * spent are dropped. These are the last chunks in the order of choose-users.ts. Their users stay on the base; current
 * chunks continue. A run without a base scores all users at any cost, since no other generation would serve them.
 */
import type { ClaimedChunk, Run } from '@tandem/prediction/runs/runs';
import type pg from 'pg';
import { query } from '../sql/database.ts';

const MINUTE_MS = 60_000;

/**
 * The error of dropped chunks. It distinguishes them from chunks of a cancelled run, so that a resume does not reopen
 * them.
 */
export const OVER_BUDGET = 'over budget';

/**
 * Drops waiting chunks if the budget is spent; to be called after each commit. Chunks are locked in order, and locked
 * chunks are skipped.
 */
export async function dropUnaffordable(pool: pg.Pool, { id, budget }: Run, { part }: ClaimedChunk): Promise<void> {
  // With a base, all chunks name their users; without one, only chunks that were split off do.
  if (budget === null || !('cpuMinutes' in budget) || !('userIds' in part)) return;
  await query(pool, {
    text: `with dropped as (
        update tandem.chunks set state = 'cancelled', error = $3 where run_id = $1 and no in (
          select no from tandem.chunks where run_id = $1 and state = 'waiting' and user_ids is not null
            and exists (select from tandem.generations where run_id = $1 and base_id is not null)
            and (select sum(cpu_ms) from tandem.chunks where run_id = $1) >= $2::float8
          order by no for update skip locked)
        returning cardinality(user_ids) as users
      )
      update tandem.runs set users_expected = users_expected - (select coalesce(sum(users), 0) from dropped)
      where id = $1 and exists (select from dropped)`,
    values: [id, budget.cpuMinutes * MINUTE_MS, OVER_BUDGET],
  });
}
