/**
 * The partitions of tandem.events, one for each day in UTC (migrations/0051_events_by_day.sql). They are made days ahead and
 * dropped whole. No lock of this is one that an insert waits for.
 */
import type { ExpiredRows } from '@tandem/prediction/runs/expire';
import type pg from 'pg';
import { type Db, query, sqlState, withClient } from '../sql/database.ts';

/** When the day of a partition ended, in SQL over its name. */
const DAY_ENDED = `(to_date(substr(c.relname, 8), 'YYYYMMDD') + 1)::timestamp at time zone 'UTC'`;

const DAYS = `pg_class c left join pg_inherits i on i.inhrelid = c.oid
  where c.relnamespace = 'tandem'::regnamespace and c.relkind = 'r' and c.relname ~ '^events_\\d{8}$'`;

/** The end of the oldest day that has a partition, in SQL. */
export const OLDEST_DAY_ENDED = `select min(${DAY_ENDED}) from ${DAYS}`;

/** Makes the days that are missing; mostly none is. */
export async function makeEventDays(db: Db): Promise<void> {
  await query(db, { text: 'select tandem.make_event_days()' });
}

interface DayPartition {
  readonly partition: string;
  readonly state: 'attached' | 'detaching' | 'detached';
  /** As Postgres estimates them. */
  readonly rows: number;
}

/**
 * Drops the oldest day all of whose events are past the horizon. A day may have later events than its name says, where no
 * worker made a partition for them.
 * @param horizon SQL of a moment
 */
export async function dropExpiredDay(pool: pg.Pool, horizon: string): Promise<ExpiredRows> {
  const days = await query<DayPartition>(pool, {
    text: `select 'tandem.' || c.relname as partition, greatest(c.reltuples, 0)::float8 as rows,
        case when i.inhrelid is null then 'detached' when i.inhdetachpending then 'detaching' else 'attached' end as state
      from ${DAYS} and ${DAY_ENDED} < ${horizon} order by c.relname`,
  });
  for (const day of days) {
    const [newest] = await query<{ isKept: boolean }>(pool, {
      text: `select accepted_at >= ${horizon} as "isKept" from ${day.partition} order by seq desc limit 1`,
    });
    if (!newest?.isKept) return drop(pool, day);
  }
  return { rows: 0, isDone: true };
}

/**
 * Detaching waits for transactions that may use the day, without holding up others. Where it was cut short, or where they
 * last too long, the next round finishes it.
 */
async function drop(pool: pg.Pool, { partition, state, rows }: DayPartition): Promise<ExpiredRows> {
  const detach = `alter table tandem.events detach partition ${partition}`;
  // Each as a message of its own: behind a pooler our other statements carry settings in theirs, and Postgres detaches nothing
  // in such a message.
  const alone = (text: string) => withClient(pool, (client) => client.query(text));
  try {
    if (state === 'attached') await alone(`${detach} concurrently`);
    if (state === 'detaching') await alone(`${detach} finalize`);
    await alone(`drop table ${partition}`);
    return { rows, isDone: false };
  } catch (error) {
    if (sqlState(error) === '55P03') return { rows: 0, isDone: true };
    throw error;
  }
}
