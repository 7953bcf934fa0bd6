/** What waits for workers, and how fast a worker is, as its chunks show. Looked at every few seconds: each statement is bounded. */
import type { UnfinishedWork, WorkStore } from '@tandem/prediction/runs/waiting-work';
import type pg from 'pg';
import { query } from '../sql/database.ts';

const WITHIN_MS = 1_000;

export function createWorkStore(pool: pg.Pool): WorkStore {
  return {
    // A rate is of the run itself and of the last one that ended: users by the time from a worker's first claim to its last
    // commit, so that it counts what the worker did for others meanwhile.
    unfinishedWork: () =>
      query<UnfinishedWork>(pool, {
        withinMs: WITHIN_MS,
        text: `select r.predictor, r.created_at as "createdAt",
            p.policy -> 'batch' ->> case when r.of_changed then 'changedSchedule' else 'schedule' end as schedule,
            greatest(0, case r.state when 'planned' then coalesce(last.users, 0)
              else r.users_expected - done.users end)::float8 as users, rate."usersPerSecond"
          from tandem.runs r join tandem.predictors p on p.name = r.predictor
          left join lateral (
            select l.id, l.users_scored as users from tandem.runs l
            where l.predictor = r.predictor and l.scope = r.scope and l.state in ('done', 'done_with_errors')
            order by l.created_at desc limit 1) last on true
          cross join lateral (
            select coalesce(sum(scored + failed + coalesce(erased, 0)), 0) as users from tandem.chunks where run_id = r.id) done
          cross join lateral (
            select (sum(w.users) / nullif(sum(w.seconds), 0))::float8 as "usersPerSecond" from (
              select sum(scored + failed) as users, extract(epoch from max(committed_at) - min(claimed_at)) as seconds
              from tandem.chunks where run_id in (r.id, last.id) and committed_at is not null and worker is not null
              group by run_id, worker) w) rate
          where r.state in ('planned', 'running', 'publishing')`,
      }),
    async chores() {
      const rows = await query<{ chore: string }>(pool, {
        withinMs: WITHIN_MS,
        text: `select 'events' as chore where exists (select from tandem.outbox)
          union all select 'erasures' where exists (select from tandem.erasures where sweep_at <= clock_timestamp())
          union all select 'rollouts' where exists (select from tandem.rollouts where state in ('preparing', 'running', 'held'))
          union all select 'contexts' where exists (select from tandem.predictors where patterns_pending)`,
      });
      return rows.map(({ chore }) => chore);
    },
  };
}
