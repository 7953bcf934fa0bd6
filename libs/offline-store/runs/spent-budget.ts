/**
 * The end of a budget in CPU minutes: what a user costs was an estimate, so the chunks that still wait when the minutes are spent
 * are dropped. They are of the users least likely to be read; chunks under way go on.
 */
import type { ClaimedChunk, Run } from '@tandem/prediction/runs/runs';
import type pg from 'pg';
import { query } from '../sql/database.ts';

const MINUTE_MS = 60_000;

/** To be called after each commit. Chunks are locked in order, and past those that others hold. */
export async function dropUnaffordable(pool: pg.Pool, { id, budget }: Run, { part }: ClaimedChunk): Promise<void> {
  // A run that has no base scores everyone, in ranges.
  if (budget === null || !('cpuMinutes' in budget) || !('userIds' in part)) return;
  await query(pool, {
    text: `with dropped as (
        update tandem.chunks set state = 'cancelled' where run_id = $1 and no in (
          select no from tandem.chunks where run_id = $1 and state = 'waiting'
            and (select sum(cpu_ms) from tandem.chunks where run_id = $1) >= $2::float8
          order by no for update skip locked)
        returning cardinality(user_ids) as users
      )
      update tandem.runs set users_expected = users_expected - (select sum(users) from dropped)
      where id = $1 and state = 'running' and exists (select from dropped)`,
    values: [id, budget.cpuMinutes * MINUTE_MS],
  });
}
