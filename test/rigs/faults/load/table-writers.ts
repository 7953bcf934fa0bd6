/**
 * Applications that change rows of a watched table and send no events. Most statements change a few users, whose context
 * versions rise. Some statements change more users than a watch raises one by one.
 */
import { setTimeout as pause } from 'node:timers/promises';
import type { Pool } from '../../../e2e/counts.fixture.ts';
import { monotonicNow, type TableChange } from '../history.ts';
import { type Dice, type LoadParts, REFUSED_PAUSE_MS, repeat } from './load-parts.ts';

export interface TableWriterOptions {
  readonly pool: Pool;
  /** The rate of each writer. */
  readonly transactionsPerSecond: number;
  /** The most users of one statement; the watch raises their versions one by one. */
  readonly mostUsers: number;
}

/** The most users whose versions the watch raises one by one. */
export const WATCHED_USERS = 20;
const BULK_USERS = 2 * WATCHED_USERS;
/** Of this many statements one is a bulk change. */
const BULK_EVERY = 40;

export function startTableWriter(parts: LoadParts, dice: Dice, options: TableWriterOptions): Promise<void> {
  const { pool, transactionsPerSecond, mostUsers } = options;

  async function write(): Promise<void> {
    const at = monotonicNow();
    const changes = await change(pool, chooseUsers(dice, parts.changing, mostUsers)).catch(() => null);
    const ended = monotonicNow();
    parts.sink.write({ kind: 'table change', at, ended, changes: changes ?? [] } satisfies TableChange);
    if (changes === null) await pause(REFUSED_PAUSE_MS);
  }

  return repeat(parts, transactionsPerSecond, write);
}

function chooseUsers(dice: Dice, changing: number, mostUsers: number): readonly number[] {
  if (dice.below(BULK_EVERY) === 0 && changing > BULK_USERS) {
    const first = 1 + dice.below(changing - BULK_USERS);
    return Array.from({ length: BULK_USERS }, (_, i) => first + i);
  }
  return Array.from({ length: 1 + dice.below(mostUsers) }, () => 1 + dice.below(changing));
}

/** Changes the rows. Rejects if the commit is not known to have succeeded. Rows are locked in order, to avoid deadlocks. */
async function change(pool: Pool, users: readonly number[]): Promise<TableChange['changes']> {
  const { rows } = await pool.query<{ userId: string; score: number }>({
    text: `with chosen as (select user_id from counts where user_id = any ($1::bigint[]) order by user_id for update)
      update counts c set changes = c.changes + 1 from chosen where c.user_id = chosen.user_id
      returning c.user_id::text as "userId", c.changes as score`,
    values: [users],
  });
  return rows;
}
