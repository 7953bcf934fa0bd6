/**
 * Metrics of waiting work. Every worker reads them every few seconds, so the cost of each statement is limited for any
 * backlog. Ages are on Postgres' clock.
 */
import type pg from 'pg';
import { PLANNED_AT } from '../generations/generation-rows.ts';
import { findOverdue } from '../retention.ts';
import { countFaultedWatches, countMissingWatches } from '../sources/watched-sources.ts';
import { type Db, query, queryOne } from '../sql/database.ts';

export type Backlog = Awaited<ReturnType<typeof findBacklog>>;

/** The unfinished runs of a predictor in one state. */
interface RunBacklog {
  readonly predictor: string;
  readonly state: string;
  readonly runs: number;
  readonly oldestSeconds: number;
  readonly chunksOpen: number;
  readonly chunksCommitted: number;
  readonly chunksFailed: number;
}

/** A rollout that is past a deadline of its plan. */
interface OverdueRollout {
  readonly predictor: string;
  /** `unjudged`: no look at it has succeeded for two of its intervals and a minute. */
  readonly state: 'preparing' | 'holding' | 'unjudged';
  /** The seconds since the deadline. */
  readonly seconds: number;
}

/** The number of entries of the outbox up to which they are counted. */
const MOST_COUNTED = 100_000;

export async function findBacklog(pool: pg.Pool) {
  const outbox = await findOutbox(pool);
  const [runs, generations] = [await listRuns(pool), await listGenerationAges(pool)];
  const [preparing, overdue] = [await listPreparing(pool), await listOverdue(pool)];
  const [missingWatches, faultedWatches] = [await countMissingWatches(pool), await countFaultedWatches(pool)];
  const overdueRows = await findOverdue(pool);
  return { outbox, runs, generations, preparing, overdue, missingWatches, faultedWatches, overdueRows };
}

/**
 * Counts the entries of the outbox, and returns the age of the oldest in seconds; 0 if there is none. If there are more
 * entries than are counted, it may be up to a minute too low.
 */
function findOutbox(db: Db) {
  return queryOne<{ entries: number; oldestSeconds: number }>(db, {
    text: `select count(*) as entries, coalesce(greatest(0, ${seconds('min(at)')}), 0) as "oldestSeconds"
      from (select at from tandem.outbox limit $1) o`,
    values: [MOST_COUNTED],
  });
}

function listRuns(db: Db): Promise<readonly RunBacklog[]> {
  return query<RunBacklog>(db, {
    text: `select r.predictor, r.state, count(*) as runs, max(${seconds('r.created_at')}) as "oldestSeconds",
        sum(c.open)::bigint as "chunksOpen", sum(c.committed)::bigint as "chunksCommitted",
        sum(c.failed)::bigint as "chunksFailed"
      from tandem.runs r cross join lateral (
        select count(*) filter (where state in ('waiting', 'claimed')) as open,
          count(*) filter (where state = 'committed') as committed, count(*) filter (where state = 'failed') as failed
        from tandem.chunks where run_id = r.id) c
      where r.state in ('planned', 'running', 'publishing')
      group by r.predictor, r.state`,
  });
}

/** Returns the ages of the generations of served predictors. */
function listGenerationAges(db: Db) {
  return query<{ predictor: string; ageSeconds: number }>(db, {
    text: `select p.name as predictor, ${seconds(PLANNED_AT)} as "ageSeconds"
      from tandem.predictors p join tandem.arms a on a.predictor = p.name and a.name = 'stable'
      join tandem.generations g on g.id = a.generation_id
      where p.active`,
  });
}

/** Returns preparing rollouts, whose arms serve no user yet. */
function listPreparing(db: Db) {
  return query<{ predictor: string; seconds: number }>(db, {
    text: `select predictor, ${seconds('created_at')} as seconds from tandem.rollouts where state = 'preparing'`,
  });
}

/**
 * Returns rollouts past a deadline. A step that may advance but waits for an operator does not count as holding. The
 * deadline begins as in rulesOf (libs/extensions/rollouts/rules/rollout-figures.ts).
 */
function listOverdue(db: Db): Promise<readonly OverdueRollout[]> {
  return query<OverdueRollout>(db, {
    text: `select r.predictor, d.state, ${seconds('d.since')} - d.ms / 1000 as seconds
      from tandem.rollouts r
      cross join lateral (
        select 'preparing' as state, r.created_at as since, (r.plan -> 'analysis' ->> 'preparingDeadlineMs')::float8 as ms
        where r.state = 'preparing'
        union all
        select 'unjudged', greatest(r.step_started_at, (
          select at from tandem.rollout_checks c where c.rollout_id = r.id and c.figures ->> 'reason' is distinct from 'look_failed'
          order by c.seq desc limit 1)), 2 * (r.plan -> 'analysis' ->> 'intervalMs')::float8 + 60000
        where r.state in ('running', 'held')
        union all
        select 'holding', r.step_started_at, (r.plan -> 'analysis' ->> 'holdDeadlineMs')::float8 + greatest(
          (r.plan -> 'analysis' ->> 'minStepMs')::float8,
          (select max((o ->> 'windowMs')::float8) from jsonb_array_elements(r.plan -> 'analysis' -> 'outcomes') o
            where (o ->> 'guardrail')::boolean)) where r.state = 'running') d
      left join lateral (
        select verdict from tandem.rollout_checks c where c.rollout_id = r.id and c.step = r.step
        order by c.seq desc limit 1) newest on true
      where (d.state = 'unjudged' or newest.verdict is distinct from 'promote') and ${seconds('d.since')} >= d.ms / 1000`,
  });
}

function seconds(moment: string): string {
  return `extract(epoch from clock_timestamp() - ${moment})::float8`;
}
