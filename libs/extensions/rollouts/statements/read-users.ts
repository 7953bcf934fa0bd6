/** Reads facts about the users that are read, before a rollout serves them. */
import type { OutcomeMetric } from '@tandem/freshness/rollout';
import { findReaders, partOfDemand } from '@tandem/offline-store/reads/read-demand';
import { type Db, limitStatements, type Pool, query, transaction } from '@tandem/offline-store/sql/database';
import type { ReadUsers } from '../rules/outcome-needs.ts';
import { FIGURE, METRICS, metricValues, SUMS } from './outcome-passes.ts';

/** The number of outcomes that are looked up, at about 20 µs each: one for each metric and user of the sample. */
const SAMPLE = 10_000;
/** The time limit of a statement, in ms. */
const TIMEOUT_MS = 500;

/**
 * Estimates how many users will be read within a time, and reads the values of some of them for each metric. Rejects if
 * a statement takes longer than half a second.
 * @param withinMs the time in ms
 */
export function findReadUsers(pool: Pool, metrics: readonly OutcomeMetric[], withinMs: number): Promise<ReadUsers> {
  return transaction(pool, async (db) => {
    await limitStatements(db, TIMEOUT_MS);
    const part = await partOfDemand(db);
    return { users: await findReaders(db, part, withinMs), samples: await sampleValues(db, metrics, part) };
  });
}

async function sampleValues(db: Db, metrics: readonly OutcomeMetric[], part: number): Promise<ReadUsers['samples']> {
  return query<ReadUsers['samples'][number]>(db, {
    text: `with sampled as materialized (
        select user_id from tandem.read_demand tablesample system ($5::float4) order by random() limit ${SAMPLE} / $6::int),
      of_user as (
        select m.no, f.figure from ${METRICS} left join sampled s on true
        cross join lateral (select ${FIGURE} as figure from tandem.outcomes o
          where o.user_id = s.user_id and o.name = m.name and o.time >= statement_timestamp() - m.lasts offset 0) f)
      select count(*)::float8 as users, ${SUMS} from of_user group by no order by no`,
    values: [...metricValues(metrics), 100 * part, metrics.length],
  });
}
