/** Facts about a predictor before a budget is spent: the cost of its runs, and how often users are read. */
import type { BudgetFacts } from '@tandem/prediction/demand/estimate-budget';
import { findWeights } from '../reads/read-demand.ts';
import { type Db, queryOne } from '../sql/database.ts';

/** The number of runs over which the CPU time of a user is averaged. */
const RUNS = 10;

/**
 * Returns SQL for the mean CPU time of a user in ms, over the last runs of a predictor; null if no run has recorded it.
 */
export function cpuMsPerUser(predictor: string): string {
  return `(
  select (sum(c.cpu_ms) / nullif(sum(c.scored + c.failed), 0))::float8 from (
    select id from tandem.runs where predictor = ${predictor} and state in ('done', 'done_with_errors')
    order by created_at desc limit ${RUNS}) counted
  join tandem.chunks c on c.run_id = counted.id where c.cpu_ms is not null)`;
}

/** Returns the mean CPU time of a user in ms, over the last runs of a predictor; null if no run has recorded it. */
export async function findCpuPerUser(db: Db, predictor: string): Promise<number | null> {
  const { cpuMs } = await queryOne<{ cpuMs: number | null }>(db, {
    text: `select ${cpuMsPerUser('$1')} as "cpuMs"`,
    values: [predictor],
  });
  return cpuMs;
}

export async function findBudgetFacts(db: Db, predictor: string): Promise<BudgetFacts> {
  const facts = await queryOne<{ now: Date; users: number | null; msPerUser: number | null }>(db, {
    text: `select statement_timestamp() as now, l.users, l."msPerUser"
        from tandem.settings left join lateral (
          select users_scored + users_failed as users,
            (extract(epoch from finished_at - started_at) * 1000 / (users_scored + users_failed))::float8 as "msPerUser"
          from tandem.runs
          where predictor = $1 and scope = 'all' and budget is null and state in ('done', 'done_with_errors')
            and users_scored + users_failed > 0
          order by created_at desc limit 1) l on true`,
    values: [predictor],
  });
  const { now, users, msPerUser } = facts;
  if (users === null || msPerUser === null) return { now, costs: null, groups: [] };
  const cpuMsPerUser = await findCpuPerUser(db, predictor);
  return { now, costs: { users, msPerUser, cpuMsPerUser }, groups: await findWeights(db) };
}
