/**
 * The partitions of tandem.events, one for each day in UTC (migrations/0051_events_by_day.sql). They are created days
 * ahead and dropped as a whole. Inserts do not wait for these changes. They wait only for a day whose detaching was
 * interrupted, at most 0.1 s.
 */
import type { ExpiredRows } from '@tandem/prediction/runs/expire';
import type pg from 'pg';
import { type Db, query, sqlState, transaction, withClient } from '../sql/database.ts';

/** SQL over a partition's name: the end of its day. */
const DAY_ENDED = `(to_date(substr(c.relname, 8), 'YYYYMMDD') + 1)::timestamp at time zone 'UTC'`;

const DAYS = `pg_class c left join pg_inherits i on i.inhrelid = c.oid
  where c.relnamespace = 'tandem'::regnamespace and c.relkind = 'r' and c.relname ~ '^events_\\d{8}$'`;

/** SQL: the end of the oldest day that has a partition. */
export const OLDEST_DAY_ENDED = `select min(${DAY_ENDED}) from ${DAYS}`;

/** Creates the missing days; usually none is missing. */
export async function makeEventDays(db: Db): Promise<void> {
  await query(db, { text: 'select tandem.make_event_days()' });
}

interface DayPartition {
  readonly partition: string;
  readonly state: 'attached' | 'detaching' | 'detached';
  /** The number of rows, as Postgres estimates it. */
  readonly rows: number;
}

/**
 * Drops the oldest day if all of its events are past the horizon. A day may contain later events than its name says, if
 * no worker created a partition for them.
 * @param horizon SQL of the time before which events have expired
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

/** The longest time in ms that events wait behind the lock, which waits for transactions that have sent events. */
const QUEUE_MS = 100;

/**
 * Detaches and drops a day. Detaching waits for transactions that may use the day, without blocking others. If
 * detaching was interrupted, or these transactions last too long, the next round finishes it in one of two ways. The
 * first, `finalize`, blocks no event, but waits for every statement that began before it, and the statement of a plan
 * takes minutes. The second drops the table, which needs a moment without events.
 */
async function drop(pool: pg.Pool, { partition, state, rows }: DayPartition): Promise<ExpiredRows> {
  // This is sent as a separate message. Behind a pooler other statements carry settings in their message, and Postgres
  // cannot detach a partition in such a message.
  const detach = (how: 'concurrently' | 'finalize') =>
    withClient(pool, (client) => client.query(`alter table tandem.events detach partition ${partition} ${how}`));
  const dropTable = () =>
    transaction(pool, async (db) => {
      await db.query(`set local lock_timeout = ${QUEUE_MS}`);
      await db.query(`drop table if exists ${partition}`);
    });
  try {
    if (state === 'attached') await detach('concurrently');
    if (state === 'detaching') await dropTable().catch(() => detach('finalize'));
    await dropTable();
    return { rows, isDone: false };
  } catch (error) {
    if (sqlState(error) === '55P03') return { rows: 0, isDone: true };
    throw error;
  }
}
