/**
 * Notices a restore that was not announced. A copy of the files that is started as after a crash, a dump that is read back
 * in, or a second restore onto a timeline of the same number all look like the past that they were copied from. The lost
 * past had marks: a process that remembers a missing one begins another history, as `tandem history rotate` does.
 *
 * Detects the loss of anything older than the newest remembered mark, which is a few seconds old; and only while a living
 * process or Redis remembers. This backs up the operator's own step and does not replace it.
 */
import { TandemError } from '@tandem/freshness/errors';
import type { HistoryMark, HistoryMarks, LossNotice, MarkLook } from '@tandem/prediction/events/notice-loss';
import type pg from 'pg';
import { insertAudit } from './audit.ts';
import { type Db, query, transaction } from './database.ts';
import { KNOWS_PROTOCOL } from './protocol.ts';
import { changeRows, databaseNow, statements } from './statements.ts';

/** Between two marks, whichever process leaves them. */
const EVERY = `interval '5 s'`;
/** Marks kept: nine days of them. An older mark than all of these proves nothing. */
const KEPT = 150_000;

export function createHistoryMarks(pool: pg.Pool): HistoryMarks {
  return { look: (known) => lookForMarks(pool, pool, known), leave: () => leaveMark(pool) };
}

/**
 * Looks for marks. Where one is lost, begins another history first, and says so.
 * @param db where to look; the other history is begun through the pool
 */
export async function lookForMarks(pool: pg.Pool, db: Db, known: readonly HistoryMark[]): Promise<MarkLook> {
  const found = await look(db, known);
  if (!found.isLost) return found;
  return transaction(pool, async (session) => {
    // Of several processes that notice at once, one begins it.
    await query(session, { text: 'select from tandem.history_rotation for update' });
    if ((await look(session, known)).isLost) await rotateIn(session, 'noticed');
    // In this transaction: a mark of the history that it begins, of no other that may follow.
    return { newest: (await look(session, [])).newest, isLost: true };
  });
}

/**
 * Rules out that the database was restored without notice. A transaction that publishes a generation calls this before it
 * takes a lock, since it waits for Redis. If a mark is lost, another history begins; the caller then reads the new one.
 * Rejects with `unavailable` if a restore cannot be ruled out.
 */
export async function assertPastProven(pool: pg.Pool, db: Db, prove: LossNotice['prove']): Promise<void> {
  const text = 'select extract(epoch from pg_postmaster_start_time())::text as server';
  const [row] = await query<{ server: string }>(db, { text });
  if (await prove((known) => lookForMarks(pool, db, known), row?.server ?? '')) return;
  throw new TandemError(
    'unavailable',
    'The newest history mark cannot be read from Redis, so a restore of Postgres cannot be ruled out: see that Redis answers at REDIS_URL, and that its user may call GET and INFO',
    { retryAfter: 1 },
  );
}

/** Leaves a mark where the last one is older than a few seconds, and forgets the oldest. */
export async function leaveMark(pool: pg.Pool): Promise<void> {
  const left = await query<{ seq: number }>(pool, {
    text: `insert into tandem.history_marks (left_at)
      select clock_timestamp() where ${KNOWS_PROTOCOL} and not exists (
        select from (select left_at from tandem.history_marks order by seq desc limit 1) last
        where last.left_at between clock_timestamp() - ${EVERY} and clock_timestamp())
      returning seq`,
  });
  const seq = left[0]?.seq;
  if (seq === undefined) return;
  await changeRows(pool, statements.deleteFrom('tandem.history_marks').where('seq', '<=', seq - KEPT));
}

/**
 * One statement, so that the newest mark and those that it found are of one past. Under a protocol that this release does not
 * know no mark counts as lost: the processes that know it look too.
 */
async function look(db: Db, known: readonly HistoryMark[]): Promise<MarkLook> {
  const [row] = await query<{ past: string; seq: number | null; mark: string | null; isLost: boolean }>(db, {
    text: `select p.past, m.seq, m.mark, exists (
        select from rows from (unnest($1::text[]), unnest($2::bigint[]), unnest($3::uuid[])) as known (past, seq, mark)
        where known.past = p.past and known.seq >= coalesce((select min(seq) from tandem.history_marks), 0)
          and not exists (select from tandem.history_marks k where k.seq = known.seq and k.mark = known.mark)
          and ${KNOWS_PROTOCOL}) as "isLost"
      from (select tandem.current_history() as past offset 0) p
      left join lateral (select seq, mark from tandem.history_marks order by seq desc limit 1) m on true`,
    values: [known.map(({ past }) => past), known.map(({ seq }) => seq), known.map(({ mark }) => mark)],
  });
  if (!row) throw new Error('Postgres returned no history');
  const { past, seq, mark, isLost } = row;
  return { newest: seq === null || mark === null ? null : { past, seq, mark }, isLost };
}

// The history names one past of the database. Postgres itself starts another where it was promoted or recovered to a
// point in time, and another database has another oid. A copy of the files that is started as after a crash has all of
// these in common with the original; a rotation of the row in tandem.history_rotation distinguishes them.

export interface HistoryChange {
  /** 16 hex digits each, as at the head of a context token. */
  readonly from: string;
  readonly to: string;
}

/**
 * Begins another history. Every statement that starts after the commit gets it, and earlier tokens, overlay entries and
 * chunks become invalid. Rejects with `unavailable` on a standby.
 */
export function rotateHistory(pool: pg.Pool, actor: string): Promise<HistoryChange> {
  return transaction(pool, (db) => rotateIn(db, actor));
}

/** Like `rotateHistory`, in the caller's transaction. */
export async function rotateIn(db: Db, actor: string): Promise<HistoryChange> {
  const from = await findHistory(db);
  const rotation = statements.fn<string>('gen_random_uuid', []);
  await changeRows(db, statements.updateTable('tandem.history_rotation').set({ rotation, rotated_at: databaseNow() }));
  const to = await findHistory(db);
  await insertAudit(db, { actor, action: 'rotate_history', predictor: null, detail: { from, to } });
  return { from, to };
}

/** Returns the history, and keeps another one from beginning until the transaction ends: what it commits is of this one. */
export async function keepHistory(db: Db): Promise<string> {
  await query(db, { text: 'select from tandem.history_rotation for share' });
  return findHistory(db);
}

async function findHistory(db: Db): Promise<string> {
  const rows = await query<{ history: string | null }>(db, { text: 'select tandem.current_history() as history' });
  const history = rows[0]?.history;
  if (history) return history;
  throw new Error(
    'tandem.history_rotation has lost its row; restore it with: insert into tandem.history_rotation default values',
  );
}
