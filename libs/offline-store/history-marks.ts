/**
 * Notices a restore that nobody told the service of. A copy of the files that is started as after a crash, a dump that is
 * read back in, or a second restore onto a timeline of the same number all look like the past that they were copied from.
 * But the past that was lost had marks, and whoever remembers one that is missing knows of the loss: then another history
 * begins, as with `tandem history rotate`.
 *
 * Sound for what is older than the last mark that is remembered, a few seconds; and only while somebody remembers: a
 * process that lives on, or Redis. So it is a net below the operator's own step, not in its place.
 */
import type { HistoryMark, HistoryMarks, MarkLook } from '@tandem/prediction/events/notice-loss';
import type pg from 'pg';
import { type Db, query, transaction } from './database.ts';
import { rotateIn } from './history.ts';

/** Between two marks, whoever leaves them. */
const EVERY = `interval '5 s'`;
/** Marks kept: nine days of them. One that is older than all of these tells nothing. */
const KEPT = 150_000;

export function createHistoryMarks(pool: pg.Pool): HistoryMarks {
  return { look: (known) => lookForMark(pool, pool, known), leave: () => leaveMark(pool) };
}

/**
 * Where the mark asked about is lost, begins another history first, and says so.
 * @param db where to look; a loss is mended through the pool
 */
export async function lookForMark(pool: pg.Pool, db: Db, known: HistoryMark | null): Promise<MarkLook> {
  const found = await look(db, known);
  if (!found.isLost) return found;
  await transaction(pool, async (session) => {
    // Of several that notice at once, one begins it.
    await query(session, { text: 'select from tandem.history_rotation for update' });
    if ((await look(session, known)).isLost) await rotateIn(session, 'noticed');
  });
  return { newest: (await look(pool, null)).newest, isLost: true };
}

/** Leaves a mark where the last one is older than a few seconds, and forgets the oldest. */
export async function leaveMark(pool: pg.Pool): Promise<void> {
  const left = await query<{ seq: number }>(pool, {
    text: `insert into tandem.history_marks (left_at)
      select clock_timestamp() where not exists (
        select from (select left_at from tandem.history_marks order by seq desc limit 1) last
        where last.left_at between clock_timestamp() - ${EVERY} and clock_timestamp())
      returning seq`,
  });
  const seq = left[0]?.seq;
  if (seq === undefined) return;
  await query(pool, { text: 'delete from tandem.history_marks where seq <= $1', values: [seq - KEPT] });
}

async function look(db: Db, known: HistoryMark | null): Promise<MarkLook> {
  const [row] = await query<{ past: string; seq: number | null; mark: string | null; isLost: boolean }>(db, {
    text: `select p.past, m.seq, m.mark,
        coalesce(p.past = $1 and $2::bigint >= coalesce((select min(seq) from tandem.history_marks), 0)
          and not exists (select from tandem.history_marks k where k.seq = $2 and k.mark = $3), false) as "isLost"
      from (select substr(md5(tandem.current_history() || '/' || current_database()), 1, 16) as past offset 0) p
      left join lateral (select seq, mark from tandem.history_marks order by seq desc limit 1) m on true`,
    values: [known?.past ?? null, known?.seq ?? null, known?.mark ?? null],
  });
  if (!row) throw new Error('Postgres told no history');
  const { past, seq, mark, isLost } = row;
  return { newest: seq === null || mark === null ? null : { past, seq, mark }, isLost };
}
