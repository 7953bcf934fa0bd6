/**
 * Reads waiting work, and the rate of a worker as measured from chunks. It is read every few seconds, so the cost of
 * each statement is limited.
 */
import type { UnfinishedWork, WorkStore } from '@tandem/prediction/runs/waiting-work';
import type pg from 'pg';
import { query } from '../sql/database.ts';
import { cpuMsPerUser } from './budget-facts.ts';

const WITHIN_MS = 1_000;

/** SQL for the number of users that the budget of a run `r` covers, before any run with the same budget. */
const AFFORDED = `(case when r.budget ? 'share' then ceil(everyone.users * (r.budget ->> 'share')::float8)
  else least(everyone.users, floor((r.budget ->> 'cpuMinutes')::float8 * 60000 / ${cpuMsPerUser('r.predictor')})) end)`;

export function createWorkStore(pool: pg.Pool): WorkStore {
  return {
    // The rate covers the run and the last run that ended. It is the number of users divided by the time from a
    // worker's first claim to its last commit, which includes the worker's other work.
    unfinishedWork: () =>
      query<UnfinishedWork>(pool, {
        withinMs: WITHIN_MS,
        text: `select r.predictor, r.created_at as "createdAt",
            coalesce(case when r.of_changed then p.policy -> 'batch' ->> 'changedSchedule' end,
              p.policy -> 'batch' ->> 'schedule') as schedule,
            greatest(0, case r.state when 'planned' then coalesce(last.users, ${AFFORDED}, 0)
              else r.users_expected - done.users end)::float8 as users, rate."usersPerSecond"
          from tandem.runs r join tandem.predictors p on p.name = r.predictor
          left join lateral (
            select l.id, l.users_scored as users from tandem.runs l
            where l.predictor = r.predictor and l.scope = r.scope and l.budget is not distinct from r.budget
              and l.state in ('done', 'done_with_errors')
            order by l.created_at desc limit 1) last on true
          left join lateral (
            select l.id, l.users_scored as users from tandem.runs l
            where r.budget is not null and l.predictor = r.predictor and l.scope = 'all' and l.budget is null
              and l.state in ('done', 'done_with_errors')
            order by l.created_at desc limit 1) everyone on true
          cross join lateral (
            select coalesce(sum(scored + failed + coalesce(erased, 0)), 0) as users from tandem.chunks where run_id = r.id) done
          cross join lateral (
            select (sum(w.users) / nullif(sum(w.seconds), 0))::float8 as "usersPerSecond" from (
              select sum(scored + failed) as users, extract(epoch from max(committed_at) - min(claimed_at)) as seconds
              from tandem.chunks
              where run_id in (r.id, coalesce(last.id, everyone.id)) and committed_at is not null and worker is not null
              group by run_id, worker) w) rate
          where r.state in ('planned', 'running', 'publishing')`,
      }),
    // The turn of retention represents all housekeeping: a worker that takes it also drops expired rows. A due time far
    // in the future comes from a clock that was set back since (turns.ts).
    async chores() {
      const rows = await query<{ chore: string }>(pool, {
        withinMs: WITHIN_MS,
        text: `select 'events' as chore where exists (select from tandem.outbox)
          union all select 'erasures' where exists (select from tandem.erasures where sweep_at <= clock_timestamp())
          union all select 'rollouts' where exists (select from tandem.rollouts where state in ('preparing', 'running', 'held'))
          union all select 'contexts' where exists (select from tandem.predictors where patterns_pending)
          union all select 'retention' where exists (select from tandem.turns where name = 'generations'
            and due_at not between clock_timestamp() - interval '1 h' and clock_timestamp() + interval '1 h')`,
      });
      return rows.map(({ chore }) => chore);
    },
  };
}
