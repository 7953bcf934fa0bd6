/**
 * Applications that change their row and insert the event in one transaction, whose COMMIT is the acknowledgement. Each event
 * carries a value without a time. The value is higher than all earlier values, also those of lost histories.
 */
import { setTimeout as pause } from 'node:timers/promises';
import type { Pool } from '../../../e2e/counts.fixture.ts';
import { monotonicNow, type SentEvent, type SqlEvents } from '../history.ts';
import { type Dice, type LoadParts, REFUSED_PAUSE_MS, repeat } from './load-parts.ts';

export interface SqlWriterOptions {
  readonly pool: Pool;
  /** The rate of each writer. */
  readonly transactionsPerSecond: number;
  /** The most users of one transaction. */
  readonly mostUsers: number;
}

export const SQL_SOURCE = 'load-sql';
const TYPE = 'changed';
/** The value of the last event of all writers. A float32 represents it exactly. */
let lastTold = 0;

export function startSqlWriter(parts: LoadParts, name: string, dice: Dice, options: SqlWriterOptions): Promise<void> {
  let made = 0;

  async function write(): Promise<void> {
    const chosen = Array.from({ length: 1 + dice.below(options.mostUsers) }, () => 1 + dice.below(parts.changing));
    // Sorted as texts, because the service locks the contexts of several users in that order.
    const userIds = [...new Set(chosen.map(String))].sort();
    const at = monotonicNow();
    const ids = userIds.map(() => `${name}-${++made}`);
    const inserted = await insert(options.pool, userIds, ids).catch(() => null);
    const ended = monotonicNow();
    const events = userIds.map((userId, i) => {
      const row = inserted?.[i];
      return { ...eventOf(ids[i] ?? '', userId, row?.score ?? 0, at), ...(row ? { told: row.told } : {}) };
    });
    const results = (inserted ?? []).map(({ id, contextVersion, contextToken }) => ({
      id,
      contextVersion,
      contextToken,
    }));
    parts.sink.write({
      kind: 'sql event',
      at,
      ended,
      events,
      isCommitted: inserted !== null,
      results,
    } satisfies SqlEvents);
    if (inserted === null) return void (await pause(REFUSED_PAUSE_MS));
    inserted.forEach((row, i) => {
      const userId = userIds[i] ?? '';
      parts.recent.add({ ...eventOf(row.id, userId, row.score, at), source: SQL_SOURCE, type: TYPE, ...row });
    });
  }

  return repeat(parts, options.transactionsPerSecond, write);
}

interface Inserted {
  readonly id: string;
  readonly score: number;
  readonly told: number;
  readonly contextVersion: number;
  readonly contextToken: string;
}

/** Inserts the events. Rejects if the commit is not known to have succeeded. */
async function insert(pool: Pool, userIds: readonly string[], ids: readonly string[]): Promise<readonly Inserted[]> {
  const client = await pool.connect();
  try {
    await client.query('begin');
    const inserted: Inserted[] = [];
    for (const [i, userId] of userIds.entries()) inserted.push(await insertOne(client, userId, ids[i] ?? ''));
    await client.query('commit');
    client.release();
    return inserted;
  } catch (error) {
    // The connection is closed, because its state is unknown: no other writer may get it.
    client.release(true);
    throw error;
  }
}

async function insertOne(client: Pick<Pool, 'query'>, userId: string, id: string): Promise<Inserted> {
  const changed = await client.query<{ changes: number }>({
    text: 'update counts set changes = changes + 1 where user_id = $1::bigint returning changes',
    values: [userId],
  });
  // The user's row is locked, so that the events of a user are accepted in the order of their values.
  const told = ++lastTold;
  await client.query({
    text: 'insert into tandem.events (source, id, type, user_id, data) values ($1, $2, $3, $4, $5)',
    values: [SQL_SOURCE, id, TYPE, userId, { told }],
  });
  const { rows } = await client.query<{ version: number; token: string }>({
    text: `select context_version::int as version, tandem.current_history() || '.' || context_version as token
      from tandem.event_ids where source = $1 and id = $2`,
    values: [SQL_SOURCE, id],
  });
  const [row] = rows;
  if (row === undefined) throw new Error('an inserted event has no version');
  return { id, score: changed.rows[0]?.changes ?? 0, told, contextVersion: row.version, contextToken: row.token };
}

function eventOf(id: string, userId: string, score: number, at: number): SentEvent {
  return { id, userId, score, changedAt: at, firstSent: at };
}
