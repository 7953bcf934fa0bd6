/**
 * Work that one worker does for all workers. The first worker that asks when the work is due takes the turn, by
 * compare-and-set on a row, with a lease on Postgres' clock.
 */
import type { Turns } from '@tandem/prediction/runs/turns';
import type pg from 'pg';
import { query } from './database.ts';

export function createTurns(pool: pg.Pool): Turns {
  return {
    async take(name, { everyMs, leaseMs }, work) {
      if (!(await claim(pool, name, Math.max(everyMs, leaseMs), leaseMs))) return undefined;
      try {
        const result = await work();
        await setDue(pool, name, everyMs);
        return result;
      } catch (error) {
        await setDue(pool, name, 0);
        throw error;
      }
    },
  };
}

/** Claims a turn. A due time further ahead than any new one was set before the clock was set back, so it is due. */
async function claim(pool: pg.Pool, name: string, furthestMs: number, leaseMs: number): Promise<boolean> {
  const claimed = await query(pool, {
    text: `insert into tandem.turns as t (name, due_at) values ($1, clock_timestamp() + $2 * interval '1 ms')
      on conflict (name) do update set due_at = excluded.due_at
      where t.due_at not between clock_timestamp() and clock_timestamp() + $3 * interval '1 ms'
      returning name`,
    values: [name, leaseMs, furthestMs],
  });
  return claimed.length > 0;
}

async function setDue(pool: pg.Pool, name: string, inMs: number): Promise<void> {
  await query(pool, {
    text: `update tandem.turns set due_at = clock_timestamp() + $2 * interval '1 ms' where name = $1`,
    values: [name, inMs],
  });
}
