/** Reads facts about the users that are read, before a rollout serves them. */
import type { OutcomeMetric } from '@tandem/freshness/rollout';
import type { ReadUsers } from '@tandem/prediction/rollouts/outcome-needs';
import type pg from 'pg';
import { findReaders, partOfDemand } from '../reads/read-demand.ts';
import { type Db, limitStatements, query, transaction } from '../sql/database.ts';
import { FIGURE, LARGEST } from './outcome-passes.ts';

/** The number of outcomes that are looked up, at about 20 µs each: one for each metric and user of the sample. */
const SAMPLE = 20_000;
/** The time limit of a statement, in ms. */
const TIMEOUT_MS = 500;

/**
 * Estimates how many users will be read within a time, and reads the values of some of them for each metric. Rejects if
 * a statement takes longer than half a second.
 * @param withinMs the time in ms
 */
export function findReadUsers(pool: pg.Pool, metrics: readonly OutcomeMetric[], withinMs: number): Promise<ReadUsers> {
  return transaction(pool, async (db) => {
    await limitStatements(db, TIMEOUT_MS);
    const part = await partOfDemand(db);
    return { users: await findReaders(db, part, withinMs), samples: await sampleValues(db, metrics, part) };
  });
}

async function sampleValues(db: Db, metrics: readonly OutcomeMetric[], part: number): Promise<ReadUsers['samples']> {
  return query<ReadUsers['samples'][number]>(db, {
    text: `with sampled as materialized (
        select user_id from tandem.read_demand tablesample system ($1::float4) order by random() limit ${SAMPLE} / $6::int),
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
      metrics.length,
    ],
  });
}
