/**
 * Makes outcomes durable: one call, one round trip, one transaction. What makes one a duplicate, and what is kept of an
 * erased user, is said in migrations/0015.
 */

import type { OutcomeMetric } from '@tandem/freshness/rollout';
import type {
  ArmOutcomes,
  Outcome,
  OutcomeResult,
  OutcomeStatistics,
  OutcomeStore,
  UserSums,
} from '@tandem/prediction/rollouts/outcomes';
import type pg from 'pg';
import { asRefusal } from '../events/refusal.ts';
import { type Db, limitStatements, query, transaction } from '../sql/database.ts';
import { fetchFirst, statements } from '../sql/statements.ts';

interface OutcomeStoreOptions {
  /** Milliseconds after which senders are told `unavailable`; else the pool's own limits count. */
  readonly withinMs?: number;
}

/** As of events: clocks differ. */
const AHEAD = '5 minutes';
/** Windows are shorter than this, and ids are remembered for longer: retention.ts. */
const BACK = '90 days';

export function createOutcomeStore(pool: pg.Pool, { withinMs }: OutcomeStoreOptions = {}): OutcomeStore {
  return {
    async accept(outcomes) {
      if (outcomes.length === 0) return [];
      return send(pool, outcomes, withinMs).catch((error: unknown) => {
        throw asRefusal(error, outcomes, 'outcome_conflict');
      });
    },
  };
}

async function send(
  pool: pg.Pool,
  outcomes: readonly Outcome[],
  withinMs: number | undefined,
): Promise<OutcomeResult[]> {
  const rows = await query<{ status: OutcomeResult['status'] }>(pool, {
    name: 'tandem-accept-outcomes',
    text: 'select status from tandem.accept_outcomes($1, $2, $3)',
    values: [JSON.stringify(outcomes), AHEAD, BACK],
    withinMs,
  });
  return outcomes.map(({ id, source, userId }, index) => {
    const row = rows[index];
    if (!row) throw new Error(`outcome ${index} got no result`);
    return { id, source, userId, status: row.status };
  });
}

// What came of a rollout: outcomes joined to the users who were exposed, in one statement for all metrics, reduced to the
// sums that statistics need.
// The plan that it is written for reads the step's exposures once, in the order of the primary key, keeps them hashed, and
// runs the outcomes of each metric's name and time past them, from an index that has all it needs. Of a step that has just
// begun the planner has no figures: it takes it for one user, and would look at all outcomes for each of thousands (8,000
// users and 1,800 outcomes took 4 s). So it may not loop where it can hash.

/** Days of new users that are told: the last so many. */
const DAYS = 28;
const TIMEOUT_MS = 60_000;

/** Of users exposed to one arm alone; `at`, their first exposure. */
const EXPOSED = `exposed as materialized (
    select user_id, min(arm) as arm, min(at) as at from tandem.exposures
    where rollout_id = $1 and step = $2 group by user_id having count(*) = 1)`;

/**
 * A user's window begins with the exposure and is open at its end. `figure` is what a user counts as. A square that is too
 * small for a double is an error in Postgres, hence the bound.
 */
const JOINED = `
  with ${EXPOSED},
  metrics as materialized (
    select no, name, kind, window_ms * interval '1 ms' as lasts
    from unnest($3::text[], $4::text[], $5::double precision[]) with ordinality as m(name, kind, window_ms, no)),
  span as materialized (select min(at) as first, max(at) as last from exposed),
  told as (
    select m.no, m.kind, m.lasts, o.user_id, o.value, o.time
    from metrics m cross join lateral (
      select user_id, value, time from tandem.outcomes
      where name = m.name and user_id is not null
        and time >= (select first from span) and time < (select last from span) + m.lasts offset 0) o),
  of_user as (
    select t.no, e.arm, e.at + t.lasts <= statement_timestamp() as mature,
      case t.kind when 'binary' then 1 else sum(t.value) end as figure
    from told t
    join exposed e on e.user_id = t.user_id and t.time >= e.at and t.time < e.at + t.lasts
    group by t.no, t.kind, e.user_id, e.arm, e.at, t.lasts),
  sums as (
    select no, arm, mature, count(*) as users_with, sum(figure) as sum,
      sum(case when abs(figure) < 1e-100 then 0 else figure * figure end) as sum_of_squares
    from of_user group by no, arm, mature),
  users as materialized (
    select w.lasts, e.arm, count(*) as users, count(*) filter (where e.at + w.lasts <= statement_timestamp()) as mature_users
    from (select distinct lasts from metrics) w cross join exposed e group by w.lasts, e.arm)
  select m.no, u.arm, u.users, u.mature_users as "matureUsers",
    coalesce(sum(s.users_with), 0)::bigint as "usersWith",
    coalesce(sum(s.sum), 0) as sum, coalesce(sum(s.sum_of_squares), 0) as "sumOfSquares",
    coalesce(sum(s.users_with) filter (where s.mature), 0)::bigint as "matureWith",
    coalesce(sum(s.sum) filter (where s.mature), 0) as "matureSum",
    coalesce(sum(s.sum_of_squares) filter (where s.mature), 0) as "matureSumOfSquares"
  from metrics m join users u using (lasts) left join sums s on s.no = m.no and s.arm = u.arm
  group by m.no, u.arm, u.users, u.mature_users order by m.no, u.arm`;

const NEW_USERS = `
  select to_char(at at time zone 'UTC', 'YYYY-MM-DD') as day, count(*) as users from tandem.exposures
  where rollout_id = $1 and step = $2 and at > statement_timestamp() - ${DAYS} * interval '1 day' group by 1 order by 1`;

interface JoinedRow {
  /** Of the metric, from 1. */
  readonly no: number;
  readonly arm: string;
  readonly users: number;
  readonly usersWith: number;
  readonly sum: number;
  readonly sumOfSquares: number;
  readonly matureUsers: number;
  readonly matureWith: number;
  readonly matureSum: number;
  readonly matureSumOfSquares: number;
}

/**
 * One for each metric and arm that somebody was exposed to. A million exposures and as many outcomes take three metrics
 * 4 s on a busy laptop, nearly all of it in Postgres.
 * @param step the one that the rollout is in where it is not said
 */
export async function findOutcomeStatistics(
  pool: pg.Pool,
  rolloutId: string,
  metrics: readonly OutcomeMetric[],
  step?: number,
): Promise<OutcomeStatistics> {
  const of = [rolloutId, step ?? (await findStep(pool, rolloutId))];
  const newUsers = await query<{ day: string; users: number }>(pool, { text: NEW_USERS, values: of });
  if (metrics.length === 0) return { arms: [], newUsers };
  const rows = await transaction(pool, async (db) => {
    await limitStatements(db, TIMEOUT_MS);
    await query(db, { text: 'set local enable_nestloop = off' });
    const named = [metrics.map(({ name }) => name), metrics.map(({ kind }) => kind)];
    const values = [...of, ...named, metrics.map(({ windowMs }) => windowMs)];
    return query<JoinedRow>(db, { text: JOINED, values, timeoutMs: TIMEOUT_MS });
  });
  return { arms: rows.flatMap((row) => armOutcomes(metrics[row.no - 1], row)), newUsers };
}

async function findStep(db: Db, rolloutId: string): Promise<number> {
  const rollout = statements.selectFrom('tandem.rollouts').select('step').where('id', '=', rolloutId);
  return (await fetchFirst(db, rollout))?.step ?? 0;
}

function armOutcomes(metric: OutcomeMetric | undefined, row: JoinedRow): readonly ArmOutcomes[] {
  if (!metric) return [];
  const { arm, users, usersWith, sum, sumOfSquares } = row;
  const all: UserSums = { users, usersWith, sum, sumOfSquares };
  const mature: UserSums = {
    users: row.matureUsers,
    usersWith: row.matureWith,
    sum: row.matureSum,
    sumOfSquares: row.matureSumOfSquares,
  };
  return [{ metric, arm, mature, all }];
}
