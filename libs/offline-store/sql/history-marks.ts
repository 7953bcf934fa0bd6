/**
 * Detects an unannounced restore. Some restored databases look like the past that they were copied from. Examples are
 * files that are started as if after a crash, a dump that is loaded again, and a second restore onto a timeline with
 * the same number. But they lack the marks of the lost past. A process that remembers a missing mark begins another
 * history, like `tandem history rotate`.
 *
 * It detects a restore to a time before the newest remembered mark, which is a few seconds old, and only while a live
 * process or Redis remembers a mark. It supplements the operator's own step, and does not replace it.
 */
import { TandemError } from '@tandem/freshness/errors';
import type { HistoryMark, HistoryMarks, LossNotice, MarkLook } from '@tandem/prediction/events/notice-loss';
import type pg from 'pg';
import { insertAudit } from './audit.ts';
import { type Db, listsOf, query, queryOne, transaction } from './database.ts';
import { KNOWS_PROTOCOL } from './protocol.ts';
import { changeRows, databaseNow, statements } from './statements.ts';

/** The time between two marks, whichever process writes them. */
const EVERY = `interval '5 s'`;
/** The number of kept marks: those of nine days. A mark older than all of these proves nothing. */
const KEPT = 150_000;
/**
 * The time limit in ms for statements on marks. A connection that a network failure has silenced must not hold up the
 * next look, since a process that is not sure of its mark serves nothing from Redis.
 */
const WITHIN_MS = 3_000;

export function createHistoryMarks(pool: pg.Pool): HistoryMarks {
  return { look: (known) => lookForMarks(pool, pool, known), leave: () => leaveMark(pool) };
}

/**
 * Looks for marks. If one is lost, begins another history before it returns.
 * @param db the connection to look through; the other history is begun through the pool
 */
export async function lookForMarks(pool: pg.Pool, db: Db, known: readonly HistoryMark[]): Promise<MarkLook> {
  const found = await look(db, known);
  if (!found.isLost) return found;
  return transaction(pool, async (session) => {
    // If several processes detect the loss concurrently, one of them begins the history.
    await query(session, { text: 'select from tandem.history_rotation for update' });
    if ((await look(session, known)).isLost) await rotateIn(session, 'noticed');
    // The mark is written in this transaction, so that it belongs to the history that begins here.
    return { newest: (await look(session, [])).newest, isLost: true };
  });
}

/**
 * Rules out an undetected restore of the database. A transaction that publishes a generation calls this before it takes
 * a lock, since it waits for Redis. If a mark is lost, another history begins, which the caller then reads. Rejects
 * with `unavailable` if a restore cannot be ruled out.
 */
export async function assertPastProven(pool: pg.Pool, db: Db, prove: LossNotice['prove']): Promise<void> {
  const text = 'select extract(epoch from pg_postmaster_start_time())::text as server';
  const [row] = await query<{ server: string }>(db, { text });
  if (await prove((known) => lookForMarks(pool, db, known), row?.server ?? '')) return;
  throw new TandemError(
    'unavailable',
    'The newest history mark cannot be read from Redis, so a restore of Postgres cannot be ruled out.',
    { retryAfter: 1, remedy: 'check that Redis answers at REDIS_URL, and that its user may call GET and INFO' },
  );
}

/** Writes a mark if the last one is older than a few seconds, and deletes the oldest. */
export async function leaveMark(pool: pg.Pool): Promise<void> {
  const left = await query<{ seq: number }>(pool, {
    text: `insert into tandem.history_marks (left_at)
      select clock_timestamp() where ${KNOWS_PROTOCOL} and not exists (
        select from (select left_at from tandem.history_marks order by seq desc limit 1) last
        where last.left_at between clock_timestamp() - ${EVERY} and clock_timestamp())
      returning seq`,
    withinMs: WITHIN_MS,
  });
  const seq = left[0]?.seq;
  if (seq === undefined) return;
  await changeRows(pool, statements.deleteFrom('tandem.history_marks').where('seq', '<=', seq - KEPT));
}

/**
 * Looks for marks in one statement, so that the newest mark and the found marks are of one past. Under an unknown
 * protocol no mark counts as lost; processes that know the protocol also look.
 */
async function look(db: Db, known: readonly HistoryMark[]): Promise<MarkLook> {
  const { past, seq, mark, isLost } = await queryOne<{
    past: string;
    seq: number | null;
    mark: string | null;
    isLost: boolean;
  }>(db, {
    text: `select p.past, m.seq, m.mark, exists (
        select from rows from (unnest($1::text[]), unnest($2::bigint[]), unnest($3::uuid[])) as known (past, seq, mark)
        where known.past = p.past and known.seq >= coalesce((select min(seq) from tandem.history_marks), 0)
          and not exists (select from tandem.history_marks k where k.seq = known.seq and k.mark = known.mark)
          and ${KNOWS_PROTOCOL}) as "isLost"
      from (select tandem.current_history() as past offset 0) p
      left join lateral (select seq, mark from tandem.history_marks order by seq desc limit 1) m on true`,
    values: listsOf(known, 'past', 'seq', 'mark'),
    ...{ timeoutMs: WITHIN_MS, withinMs: WITHIN_MS },
  });
  return { newest: seq === null || mark === null ? null : { past, seq, mark }, isLost };
}

// The history identifies one past of the database. Postgres itself begins another timeline after a promotion or a
// recovery to a point in time, and another database has another oid. A copy of the files that is started as if after a
// crash has the same values as the original. A rotation of the row in tandem.history_rotation distinguishes the two.

export interface HistoryChange {
  /** The previous and the new history: 16 hex digits each, as in a context token. */
  readonly from: string;
  readonly to: string;
}

/**
 * Begins another history. Every statement that starts after the commit returns it, and earlier tokens, overlay entries
 * and chunks become invalid. Rejects with `unavailable` on a standby.
 */
export function rotateHistory(pool: pg.Pool, actor: string): Promise<HistoryChange> {
  return transaction(pool, (db) => rotateIn(db, actor));
}

/**
 * Begins another history in place of this one, which has lost commits. Returns false if another has begun already.
 * Rejects with SQLSTATE 42501 if the login may not begin one.
 */
export function replaceHistory(pool: pg.Pool, history: string): Promise<boolean> {
  return transaction(pool, async (db) => {
    // If several processes detect the loss concurrently, one of them begins the history.
    await query(db, { text: 'select from tandem.history_rotation for update' });
    if ((await findHistory(db)) !== history) return false;
    await rotateIn(db, 'noticed');
    return true;
  });
}

/** Begins another history like `rotateHistory`, in the caller's transaction. */
export async function rotateIn(db: Db, actor: string): Promise<HistoryChange> {
  const from = await findHistory(db);
  const rotation = statements.fn<string>('gen_random_uuid', []);
  await changeRows(db, statements.updateTable('tandem.history_rotation').set({ rotation, rotated_at: databaseNow() }));
  const to = await findHistory(db);
  await insertAudit(db, { actor, action: 'rotate_history', predictor: null, detail: { from, to } });
  return { from, to };
}

/**
 * Returns the history, and prevents another from beginning until the transaction ends, so that its writes belong to
 * this history.
 */
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
