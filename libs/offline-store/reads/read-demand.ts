/**
 * Stores how often users are read, as a decayed count: a read counts 1 when it is written, 0.5 three days later, and so
 * on. The table stores the logarithm of the count as of 1970 (migrations/0061_read_demand.sql), so rows keep their
 * order while all of them decay.
 */
import type { ReadCount, ReadCountStore } from '@tandem/prediction/demand/count-reads';
import { HALF_LIFE_MS, type WeightGroup } from '@tandem/prediction/demand/estimate-budget';
import type { DemandStore } from '@tandem/prediction/refresh/create-refresh';
import type pg from 'pg';
import { textArray } from '../certificate/certificate-statement.ts';
import { type Db, execute, query } from '../sql/database.ts';

/** SQL for the number of half-lives since 1970. */
const NOW = `(extract(epoch from statement_timestamp())::float8 / ${HALF_LIFE_MS / 1000})`;
/** A limit above any count and within the exponent of a float8, whatever the clock. */
const MOST_LOG = 1_000;

/** Returns SQL for the current weight of a stored `log_weight`. */
function weightNow(logWeight: string): string {
  return `power(2::float8, greatest(-${MOST_LOG}, least(${MOST_LOG}, ${logWeight} - ${NOW})))`;
}

/** The weight below which a row expires. A user that was read once, 20 days ago, weighs 0.01. */
const LEAST_LOG = Math.log2(0.01);

export function createReadCountStore(pool: pg.Pool): ReadCountStore {
  return { put: (counts) => putCounts(pool, counts) };
}

export function createDemandStore(pool: pg.Pool): DemandStore {
  return {
    async weightsOf(userIds) {
      const rows = await query<{ userId: string; weight: number }>(pool, {
        name: 'tandem-read-weights',
        text: `select user_id as "userId", ${weightNow('log_weight')} as weight
          from tandem.read_demand where user_id = any($1::text[])`,
        values: [textArray(userIds)],
      });
      return new Map(rows.map(({ userId, weight }) => [userId, weight]));
    },
  };
}

/**
 * Adds counts. Counts from before an erasure are omitted. So are counts with a label that the user does not have, since
 * it comes from a lost past. Every statement locks rows in the order of user_id, so that no two deadlock.
 */
async function putCounts(db: Db, counts: readonly ReadCount[]): Promise<void> {
  await query(db, {
    name: 'tandem-put-read-counts',
    text: `insert into tandem.read_demand as d (user_id, log_weight, context_version)
      select e.user_id, e.log_reads + ${NOW}, e.context_version
      from unnest($1::text[], $2::float8[], $3::bigint[]) as e(user_id, log_reads, context_version)
      left join tandem.user_contexts c on c.user_id = e.user_id collate "C"
      where e.context_version <= coalesce(c.version, 0)
        and (c.deleted_version > 0 and c.deleted_version >= e.context_version) is not true
      order by e.user_id collate "C"
      on conflict (user_id) do update set
        log_weight = greatest(d.log_weight, excluded.log_weight)
          + ln(1 + power(2::float8, greatest(-${MOST_LOG}, -abs(d.log_weight - excluded.log_weight)))) / ln(2::float8),
        context_version = least(d.context_version, excluded.context_version)`,
    values: [
      textArray(counts.map(({ userId }) => userId)),
      `{${counts.map(({ reads }) => Math.log2(reads)).join(',')}}`,
      `{${counts.map(({ contextVersion }) => contextVersion).join(',')}}`,
    ],
  });
}

/** Deletes the counts of erased users, by the erasures' numbers. Returns how many. */
export async function deleteReadCounts(db: Db, numbers: readonly number[]): Promise<number> {
  const { rowCount } = await execute(db, {
    text: `with locked as materialized (
        select d.user_id, t.deleted_version from tandem.read_demand d join tandem.erasures t on t.user_id = d.user_id
        where t.number = any($1::bigint[]) order by d.user_id for update of d
      )
      delete from tandem.read_demand d using locked l
      where d.user_id = l.user_id and d.context_version <= l.deleted_version`,
    values: [numbers],
  });
  return rowCount ?? 0;
}

/**
 * Checks the given number of rows in the order of the key, after the last checked row, and deletes rows with a
 * negligible weight. Locked rows are skipped, since their users are being read. There is no index on weights, which
 * each count would have to change.
 */
export async function expireReadCounts(
  db: Db,
  after: string,
  most: number,
): Promise<{ readonly rows: number; readonly seen: number; readonly last: string | null }> {
  const [looked] = await query<{ rows: number; seen: number; last: string | null }>(db, {
    text: `with looked as materialized (
        select user_id, log_weight < ${NOW} + ${LEAST_LOG} as expired
        from tandem.read_demand where user_id > $1 order by user_id limit $2
      ), locked as materialized (
        select d.user_id from tandem.read_demand d where d.user_id = any (array(select user_id from looked where expired))
        order by d.user_id for update skip locked
      ), gone as (
        delete from tandem.read_demand d using locked l
        where d.user_id = l.user_id and d.log_weight < ${NOW} + ${LEAST_LOG} returning 1
      )
      select (select count(*) from gone) as rows, count(*) as seen, max(user_id) as last from looked`,
    values: [after, most],
  });
  return looked ?? { rows: 0, seen: 0, last: null };
}

/**
 * The maximum number of 8 kB pages to read, about 200,000 rows. Only a part of a larger table is read, so that a lookup
 * takes limited time, 0.2 s of CPU.
 */
const MOST_PAGES = 2_000;

/**
 * Returns users in groups of about the same weight, the most read first. For a large table it is an estimate from some
 * of its pages.
 */
export async function findWeights(db: Db): Promise<readonly WeightGroup[]> {
  // The size on disk is used, since Postgres knows the number of rows only after the table was analysed.
  const [table] = await query<{ pages: number }>(db, {
    text: `select pg_relation_size('tandem.read_demand')::float8 / current_setting('block_size')::int as pages`,
  });
  const part = Math.min(1, MOST_PAGES / Math.max(1, table?.pages ?? 0));
  const groups = await query<WeightGroup>(db, {
    text: `select count(*)::float8 as users, avg(${weightNow('log_weight')}) as weight
      from tandem.read_demand tablesample system ($1::float4) group by floor(log_weight * 4) order by weight desc`,
    values: [part * 100],
  });
  return groups.map(({ users, weight }) => ({ users: Math.round(users / part), weight }));
}
