/**
 * Stores how often users are read, as a decayed count: a read counts 1 when it is written, 0.5 three days later, and so
 * on. The table stores the logarithm of the count as of 1970 (migrations/0061_read_demand.sql), so rows keep their
 * order while all of them decay.
 *
 * A row also holds the count at the start of a sampled day. It tests how well the counts of earlier days predict reads
 * (estimate-budget.ts). The day is drawn by reservoir sampling: a read replaces the sample with its share of the recent
 * count, so each read is the sample with the probability of its weight (Chao, 1982).
 */
import type { ReadCount, ReadCountStore } from '@tandem/prediction/demand/count-reads';
import { HALF_LIFE_MS, RECENT_HALF_LIFE_MS, type WeightGroup } from '@tandem/prediction/demand/estimate-budget';
import type { DemandStore } from '@tandem/prediction/refresh/refresh';
import type pg from 'pg';
import { textArray } from '../certificate/certificate-statement.ts';
import { countChanged, type Db, query, queryOne } from '../sql/database.ts';

/** SQL for the number of half-lives since 1970. */
const NOW = `(extract(epoch from statement_timestamp())::float8 / ${HALF_LIFE_MS / 1000})`;
const HALF_LIFE_DAYS = HALF_LIFE_MS / 86_400_000;
/** SQL for the number of days since 1970. */
const DAYS = `(${NOW} * ${HALF_LIFE_DAYS})`;
const TODAY = `floor(${DAYS})::int`;
/** The number of recent half-lives in a half-life. */
const RECENT = HALF_LIFE_MS / RECENT_HALF_LIFE_MS;
/** The reads a day of a user whose decayed count of recent reads stays 1. */
const READS_A_DAY = (Math.LN2 * RECENT) / HALF_LIFE_DAYS;
/** A limit above any count and within the exponent of a float8, whatever the clock. */
const MOST_LOG = 1_000;

/** Returns SQL for the current weight of a stored `log_weight`. */
function weightNow(logWeight: string): string {
  return `power(2::float8, greatest(-${MOST_LOG}, least(${MOST_LOG}, ${logWeight} - ${NOW})))`;
}

/** Returns SQL for the sum of a stored and a new count, both as logarithms. */
function sumOf(column: string): string {
  return `(greatest(d.${column}, excluded.${column})
    + ln(1 + power(2::float8, greatest(-${MOST_LOG}, -abs(d.${column} - excluded.${column})))) / ln(2::float8))`;
}

/** SQL for the logarithm of the count at the start of the day of the new reads. */
const BEFORE = '(case when d.day = excluded.day then d.log_before else d.log_weight end)';

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
    text: `insert into tandem.read_demand as d (user_id, log_weight, log_recent, day, sampled_day, context_version)
      select e.user_id, e.log_reads + ${NOW}, e.log_reads + ${NOW} * ${RECENT}, ${TODAY}, ${TODAY}, e.context_version
      from unnest($1::text[], $2::float8[], $3::bigint[]) as e(user_id, log_reads, context_version)
      left join tandem.user_contexts c on c.user_id = e.user_id collate "C"
      where e.context_version <= coalesce(c.version, 0)
        and (c.deleted_version > 0 and c.deleted_version >= e.context_version) is not true
      order by e.user_id collate "C"
      on conflict (user_id) do update set
        log_weight = ${sumOf('log_weight')}, log_recent = ${sumOf('log_recent')}, day = excluded.day, log_before = ${BEFORE},
        (sampled_day, log_sampled) = (
          select case when new then excluded.day else d.sampled_day end, case when new then ${BEFORE} else d.log_sampled end
          from (select random() < power(2::float8, greatest(-${MOST_LOG}, excluded.log_recent - ${sumOf('log_recent')})) as new
            offset 0) drawn),
        context_version = least(d.context_version, excluded.context_version)`,
    values: [
      textArray(counts.map(({ userId }) => userId)),
      `{${counts.map(({ reads }) => Math.log2(reads)).join(',')}}`,
      `{${counts.map(({ contextVersion }) => contextVersion).join(',')}}`,
    ],
  });
}

/** Deletes the counts of erased users, by the erasures' numbers. Returns how many. */
export function deleteReadCounts(db: Db, numbers: readonly number[]): Promise<number> {
  return countChanged(db, {
    text: `with locked as materialized (
        select d.user_id, t.deleted_version from tandem.read_demand d join tandem.erasures t on t.user_id = d.user_id
        where t.number = any($1::bigint[]) order by d.user_id for update of d
      )
      delete from tandem.read_demand d using locked l
      where d.user_id = l.user_id and d.context_version <= l.deleted_version`,
    values: [numbers],
  });
}

/**
 * Checks the given number of rows in the order of the key, after the last checked row, and deletes rows with a
 * negligible weight. Locked rows are skipped, since their users are being read. There is no index on weights, which
 * each count would have to change.
 */
export function expireReadCounts(db: Db, after: string, most: number) {
  return queryOne<{ rows: number; seen: number; last: string | null }>(db, {
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
}

/**
 * The maximum number of 8 kB pages to read, about 200,000 rows. Only a part of a larger table is read, so that a lookup
 * takes limited time, 0.4 s of CPU.
 */
const MOST_PAGES = 2_000;

/** Returns the part of the table that a lookup may read, from 0 to 1. */
export async function partOfDemand(db: Db): Promise<number> {
  // The size on disk is used, since Postgres knows the number of rows only after the table was analysed.
  const { pages } = await queryOne<{ pages: number }>(db, {
    text: `select pg_relation_size('tandem.read_demand')::float8 / current_setting('block_size')::int as pages`,
  });
  return Math.min(1, MOST_PAGES / Math.max(1, pages));
}

/** Returns the expected number of users that are read within a time, if each is read as often as before. */
export async function findReaders(db: Db, part: number, withinMs: number): Promise<number> {
  const { users } = await queryOne<{ users: number }>(db, {
    text: `select coalesce(sum(1 - exp(greatest(-700, -${weightNow('log_weight')} * $2::float8))), 0) as users
      from tandem.read_demand tablesample system ($1::float4)`,
    values: [part * 100, (Math.LN2 * withinMs) / HALF_LIFE_MS],
  });
  return users / part;
}

/** The number of groups for each doubling of the weight. */
const GROUPS_PER_DOUBLING = 16;
/** Weights below this one count as none. */
const NO_WEIGHT = 0.001;
/** The number of recent reads of a frequent user. */
const FREQUENT = 4;
/** Days are tested back to this one. Older days weigh less than a millionth. */
const MOST_DAYS = 30;
/** The least history of a tested day, as a share of the current counts. */
const LEAST_HISTORY = 0.8;
/**
 * The decayed reads of a day are computed from recent counts as if all reads were in the middle of the day. This is the
 * error of evenly spread reads: the ratio of sinh(x) ÷ x at x = ln 2 ÷ (2 × half-life in days), for both half-lives.
 */
const MIDDLE_OF_DAY = sinhRatio(HALF_LIFE_DAYS) / sinhRatio(HALF_LIFE_DAYS / RECENT);

function sinhRatio(halfLifeDays: number): number {
  const x = Math.LN2 / (2 * halfLifeDays);
  return Math.sinh(x) / x;
}

/**
 * Returns users in groups of about the same weight, the most read first, with the reads that test these weights. For a
 * large table it is an estimate from some of its pages.
 *
 * The weight of a user at the start of a day is divided by the total weight at that time, and thus comparable with
 * current weights. The total is the current total less the reads of the day and of later days.
 */
export async function findWeights(db: Db): Promise<readonly WeightGroup[]> {
  const part = await partOfDemand(db);
  const groups = await query<WeightGroup>(db, {
    text: `with counts as materialized (
        select ${weightNow('log_weight')} as weight, ${weightNow(`log_recent - ${NOW} * ${RECENT - 1}`)} as recent,
          ${weightNow('log_sampled')} as before, case when sampled_day > ${TODAY} - ${MOST_DAYS} then sampled_day end as day
        from tandem.read_demand tablesample system ($1::float4)
      ), days as (
        select day, total, total - sum(sum(recent) * ${MIDDLE_OF_DAY}
          * power(2, (${DAYS} - (day + least(day + 1, ${DAYS})) / 2) * ${(RECENT - 1) / HALF_LIFE_DAYS}))
          over (order by day desc) as history
        from counts, (select sum(weight) as total from counts) now where day <= ${TODAY} group by day, total
      ), levels as (
        select weight, 1 as users, 0 as recent from counts
        union all select before / history * total, 0, recent from counts join days using (day)
        where history >= ${LEAST_HISTORY} * total * power(2, (day - ${DAYS}) / ${HALF_LIFE_DAYS})
      )
      select level is not null as "isCounted", sum(users)::float8 as users, sum(recent) as reads,
        sum(1 - exp(greatest(-700, -recent * ${READS_A_DAY}))) as readers, sum(recent ^ 2) as squares,
        (count(*) filter (where recent >= ${FREQUENT}))::float8 as frequent
      from (select *, case when weight > ${NO_WEIGHT} then floor(ln(weight) / ln(2::float8) * ${GROUPS_PER_DOUBLING}) end as level
        from levels) l
      group by level order by level desc nulls last`,
    values: [part * 100],
  });
  return groups.map(({ users, reads, readers, squares, ...group }) => {
    return {
      ...group,
      users: Math.round(users / part),
      reads: reads / part,
      readers: readers / part,
      squares: squares / part ** 2,
    };
  });
}
