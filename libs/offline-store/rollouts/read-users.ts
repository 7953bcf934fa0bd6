/** Reads facts about the users that are read, before a rollout serves them. */
import type { OutcomeMetric } from '@tandem/freshness/rollout';
import type { ReadUsers } from '@tandem/prediction/rollouts/outcome-needs';
import { findReaders, partOfDemand } from '../reads/read-demand.ts';
import { type Db, query } from '../sql/database.ts';
import { FIGURE, LARGEST } from './outcome-passes.ts';

/** The number of users whose outcomes are looked up, at about 20 µs for each metric. */
const SAMPLE = 10_000;
const TIMEOUT_MS = 3_000;

export async function findReadUsers(db: Db, metrics: readonly OutcomeMetric[], withinMs: number): Promise<ReadUsers> {
  const part = await partOfDemand(db);
  const samples = await query<ReadUsers['samples'][number]>(db, {
    text: `with sampled as materialized (
        select user_id from tandem.read_demand tablesample system ($1::float4) order by random() limit ${SAMPLE}),
      of_user as (
        select m.no, f.figure from unnest($2::text[], $3::text[], $4::float8[], $5::float8[])
          with ordinality as m(name, kind, window_ms, cap, no)
        left join sampled s on true
        cross join lateral (select ${FIGURE} as figure from tandem.outcomes o where o.user_id = s.user_id and o.name = m.name
          and o.time >= statement_timestamp() - m.window_ms * interval '1 ms' offset 0) f)
      select count(*)::float8 as users, sum(figure) as sum, ${LARGEST} as largest,
        sum(case when abs(figure) < 1e-100 then 0 else figure * figure end) as "sumOfSquares" from of_user group by no order by no`,
    values: [
      100 * part,
      metrics.map(({ name }) => name),
      metrics.map(({ kind }) => kind),
      metrics.map(({ windowMs }) => windowMs),
      metrics.map(({ cap = null }) => cap),
    ],
    timeoutMs: TIMEOUT_MS,
  });
  return { users: await findReaders(db, part, withinMs), samples };
}
