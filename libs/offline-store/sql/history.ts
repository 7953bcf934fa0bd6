/**
 * The history names one past of the database. Postgres itself starts another where it was promoted or recovered to a point in
 * time, and another database has another oid. A copy of the files that is started as after a crash has all of these in common
 * with the original; a rotation of the row in tandem.history_rotation tells them apart.
 */
import type pg from 'pg';
import { insertAudit } from './audit.ts';
import { type Db, query, transaction } from './database.ts';

export interface HistoryChange {
  /** 16 hex digits each, as at the head of a context token. */
  readonly from: string;
  readonly to: string;
}

/**
 * Begins another history: every statement that starts after the commit is told so, and what anybody learned before (tokens,
 * overlay entries, chunks under way) proves nothing any more. Rejects `unavailable` on a standby.
 */
export function rotateHistory(pool: pg.Pool, actor: string): Promise<HistoryChange> {
  return transaction(pool, (db) => rotateIn(db, actor));
}

/** As `rotateHistory`, in a transaction of the caller's. */
export async function rotateIn(db: Db, actor: string): Promise<HistoryChange> {
  const from = await findHistory(db);
  await query(db, {
    text: 'update tandem.history_rotation set rotation = gen_random_uuid(), rotated_at = clock_timestamp()',
  });
  const to = await findHistory(db);
  await insertAudit(db, { actor, action: 'rotate_history', predictor: null, detail: { from, to } });
  return { from, to };
}

async function findHistory(db: Db): Promise<string> {
  const rows = await query<{ history: string | null }>(db, { text: 'select tandem.current_history() as history' });
  const history = rows[0]?.history;
  if (history) return history;
  throw new Error(
    'tandem.history_rotation has lost its row; restore it with: insert into tandem.history_rotation default values',
  );
}
