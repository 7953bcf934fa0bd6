/**
 * Counts the outcomes of a rollout: for each metric, the outcomes of its users within the window after their exposure.
 * A call takes bounded time for any number of users. A pass counts the users of a step slice by slice, in the order of
 * their ids. It stores its position and sums, so that the next call in any process resumes there. The report shows the
 * last completed pass. A million users with one outcome each take about 5 s a metric; with fewer users one call
 * completes a pass.
 */
import type { OutcomeMetric, Rollout } from '@tandem/freshness/rollout';
import { type Db, limitStatements, listsOf, type Pool, query, transaction } from '@tandem/offline-store/sql/database';
import { changeRows, fetchFirst, statements } from '@tandem/offline-store/sql/statements';
import {
  type ArmOutcomes,
  addOutcomeSums,
  NO_USERS,
  type OutcomeStatistics,
  type OutcomeSums,
} from '../rules/outcomes.ts';

/** The number of exposures in a slice, which takes half a second. */
const SLICE = 100_000;
/** The time limit of a slice on a busy server. A call processes at least one slice. */
const SLICE_TIMEOUT_MS = 15_000;

type Step = Pick<Rollout, 'id' | 'step'>;

/**
 * Continues the pass until it has ended or `budgetMs` is over. If another caller is counting, returns the last completed
 * pass at once. Rejects if a slice fails; the pass then resumes at that slice.
 */
export async function countOutcomes(
  pool: Pool,
  step: Step,
  metrics: readonly OutcomeMetric[],
  budgetMs: number,
  slice = SLICE,
): Promise<OutcomeStatistics> {
  if (metrics.length === 0) return { arms: [], asOf: null };
  const until = performance.now() + budgetMs;
  const row = statements.insertInto('tandem.outcome_passes').values({ rollout_id: step.id, step: step.step });
  await changeRows(
    pool,
    row.onConflict((conflict) => conflict.doNothing()),
  );
  while ((await transaction(pool, (db) => countSlice(db, step, metrics, slice))) && performance.now() < until);
  const { counted = [], counted_as_of: asOf = null } = (await fetchFirst(pool, passOf(step))) ?? {};
  if (!counted.every(isComplete)) return { arms: [], asOf: null };
  return { arms: counted.flatMap((sums) => armOutcomes(metrics[sums.no - 1], sums)), asOf };
}

/** Returns whether the sums have all fields. A release before caps wrote sums without the largest value, and no cap. */
function isComplete({ all }: OutcomeSums): boolean {
  return 'largest' in all;
}

function passOf({ id, step }: Step) {
  const pass = statements
    .selectFrom('tandem.outcome_passes')
    .select(['counted', 'counted_as_of'])
    .$narrowType<{ counted: OutcomeSums[] }>();
  return pass.where(({ and }) => and({ rollout_id: id, step }));
}

function armOutcomes(metric: OutcomeMetric | undefined, { arm, mature, all }: OutcomeSums): readonly ArmOutcomes[] {
  return metric ? [{ metric, arm, mature, all }] : [];
}

interface Pass {
  /** A timestamptz as text, with all its digits. */
  readonly asOf: string;
  readonly after: string;
  readonly sums: readonly OutcomeSums[];
}

/** Processes a slice. Returns whether the pass continues. */
async function countSlice(
  db: Db,
  { id, step }: Step,
  metrics: readonly OutcomeMetric[],
  slice: number,
): Promise<boolean> {
  await limitStatements(db, SLICE_TIMEOUT_MS);
  const of = [id, step];
  const [pass] = await query<Pass>(db, {
    text: `select coalesce(as_of, clock_timestamp())::text as "asOf", after_user as after, sums from tandem.outcome_passes
      where rollout_id = $1 and step = $2 for update skip locked`,
    values: of,
  });
  if (!pass) return false;
  if (!pass.sums.every(isComplete)) {
    const restart = `update tandem.outcome_passes set as_of = null, after_user = '', sums = '[]' where rollout_id = $1 and step = $2`;
    await query(db, { text: restart, values: of });
    return true;
  }
  const [last] = await query<{ userId: string }>(db, {
    text: `select user_id as "userId" from tandem.exposures where rollout_id = $1 and step = $2 and user_id > $3
      order by user_id offset $4::int - 1 limit 1`,
    values: [...of, pass.after, slice],
  });
  const upTo = last?.userId ?? null;
  const sums = addOutcomeSums(pass.sums, await sumSlice(db, of, { ...pass, upTo }, metrics));
  await query(db, {
    text:
      upTo === null
        ? `update tandem.outcome_passes set as_of = null, after_user = '', sums = '[]', counted_as_of = $3, counted = $4
            where rollout_id = $1 and step = $2`
        : `update tandem.outcome_passes set as_of = $3, after_user = $5, sums = $4 where rollout_id = $1 and step = $2`,
    values: [...of, pass.asOf, JSON.stringify(sums), ...(upTo === null ? [] : [upTo])],
  });
  return upTo !== null;
}

/** SQL for the metrics as rows `m`. Its parameters are `metricValues`, from $1 on. */
export const METRICS = `(select no, name, kind, window_ms * interval '1 ms' as lasts, cap
  from unnest($1::text[], $2::text[], $3::float8[], $4::float8[]) with ordinality as m(name, kind, window_ms, cap, no)) m`;

/** Returns the parameters of `METRICS`. */
export function metricValues(metrics: readonly OutcomeMetric[]): readonly unknown[] {
  return [...listsOf(metrics, 'name', 'kind', 'windowMs'), metrics.map(({ cap = null }) => cap)];
}

/** SQL for the value of a user for the metric `m`, from its outcomes `o`. A cap limits the amount; null is no limit. */
export const FIGURE = `case when count(*) = 0 then 0 when m.kind = 'binary' then 1
  else greatest(-m.cap, least(m.cap, sum(o.value))) end`;
/**
 * SQL for the sums of `figure`. A square that is too small for a double is an error in Postgres, hence the lower limit.
 * `largest` is the figure with the greatest amount.
 */
export const SUMS = `sum(figure) as sum, sum(case when abs(figure) < 1e-100 then 0 else figure * figure end) as "sumOfSquares",
  case when max(figure) >= -min(figure) then max(figure) else min(figure) end as largest`;

/**
 * SQL of a slice over users that were exposed to one arm only. A user's window begins with the exposure, and excludes
 * its end. `figure` is the value of a user, within the metric's cap: a limit of the user's sum, so it must apply before
 * users are added up. The outcomes of each user are looked up: users and outcomes have the same order, and for a step
 * with few users the outcomes of others are not read. The planner has no statistics of a step that has just begun, so
 * `offset 0` and the settings prevent any other plan.
 */
const SLICE_SQL = `
  with exposed as materialized (
    select user_id, min(arm) as arm, min(at) as at from tandem.exposures
    where rollout_id = $5 and step = $6 and user_id > $7 and ($8::text is null or user_id <= $8)
    group by user_id having count(*) = 1),
  of_user as (
    select m.no, e.arm, e.at + m.lasts <= $9::timestamptz as mature, f.has, f.figure
    from ${METRICS}
    cross join exposed e
    cross join lateral (
      select count(*) > 0 as has, ${FIGURE} as figure
      from tandem.outcomes o
      where o.user_id = e.user_id and o.name = m.name and o.time >= e.at and o.time < e.at + m.lasts offset 0) f),
  sums as (
    select no, arm, mature, count(*) as users, count(*) filter (where has) as "usersWith", ${SUMS}
    from of_user group by grouping sets ((no, arm), (no, arm, mature)))
  select no, arm,
    json_object_agg(case when mature then 'mature' when mature is null then 'all' else 'young' end,
      json_build_object('users', users, 'usersWith', "usersWith", 'sum', sum, 'sumOfSquares', "sumOfSquares", 'largest', largest)) as sums
  from sums group by no, arm order by no, arm`;

async function sumSlice(
  db: Db,
  of: readonly unknown[],
  { after, upTo, asOf }: Pass & { readonly upTo: string | null },
  metrics: readonly OutcomeMetric[],
): Promise<readonly OutcomeSums[]> {
  await query(db, {
    text: `select set_config(name, value, true) from (values ('enable_seqscan', 'off'), ('enable_bitmapscan', 'off'),
      ('enable_indexscan', 'on'), ('enable_indexonlyscan', 'on'), ('jit', 'off')) s(name, value)`,
  });
  const rows = await query<Pick<OutcomeSums, 'no' | 'arm'> & { sums: Partial<OutcomeSums> }>(db, {
    text: SLICE_SQL,
    values: [...metricValues(metrics), ...of, after, upTo, asOf],
    timeoutMs: SLICE_TIMEOUT_MS,
  });
  return rows.map(({ no, arm, sums: { all = NO_USERS, mature = NO_USERS } }) => ({ no, arm, all, mature }));
}
