/**
 * The outbox in Postgres: versions that committed events raised and that the online store may not know yet. It is a
 * ring of slots (migrations/0056_shared_housekeeping.sql). Each slot is a separate table, so that a slot without rows
 * can be truncated.
 */
import type { Outbox, OutboxEntry, OutboxPage, OutboxSlot } from '@tandem/prediction/events/relay-outbox';
import type pg from 'pg';
import { type Db, query, sqlState, transaction } from '../sql/database.ts';

/** The maximum number of kept unused names, so that a client that always sends new names cannot fill the table. */
const MAX_UNUSED_NAMES = 1_000;

interface OutboxOptions {
  /**
   * The size from which a table is truncated, 8 MiB. Vacuum cleans a smaller table, since truncating makes Postgres
   * replan statements.
   */
  readonly emptyAboveBytes?: number;
}

export function createOutbox(pool: pg.Pool, { emptyAboveBytes = 8 * 2 ** 20 }: OutboxOptions = {}): Outbox {
  return {
    async slots() {
      const slots = await query<{ slot: number }>(pool, {
        text: `select s as slot from generate_series(0, 5) s where exists (select from tandem.outbox o where o.slot = s)`,
      });
      return slots.map(({ slot }) => openSlot(pool, { slot, slotTable: `tandem.outbox_${slot}`, emptyAboveBytes }));
    },
  };
}

interface Row extends OutboxEntry {
  readonly place: string;
  readonly history: string;
  readonly unusedNames: readonly string[] | null;
}

interface SlotTable {
  readonly slot: number;
  readonly slotTable: string;
  readonly emptyAboveBytes: number;
}

function openSlot(pool: pg.Pool, slot: SlotTable): OutboxSlot {
  // Rows that this relay has deleted are before this position, so they are not read again.
  let after = '(0,0)';
  return {
    async relay(limit, tell) {
      const rows = await transaction(pool, async (db) => {
        const page = await takePage(db, slot.slotTable, after, limit);
        if (page.length === 0) return page;
        await tell(pageOf(page));
        await countUnusedNames(db, page);
        return page;
      });
      after = rows.at(-1)?.place ?? after;
      if (rows.length < limit) await emptyTable(pool, slot);
      return rows.length;
    },
  };
}

/**
 * Deletes a page, which other relays skip until this transaction ends. Redis gets the page before the deletion commits,
 * so a killed relay leaves the page. If relays claimed pages by a column, each row would get a second version.
 */
function takePage(db: Db, slotTable: string, after: string, limit: number): Promise<Row[]> {
  return query<Row>(db, {
    text: `with gone as (delete from ${slotTable} where ctid = any (array(
        select ctid from ${slotTable} where ctid > $1::tid limit $2 for update skip locked))
        returning ctid as place, user_id, context_version, unused_names, at)
      select place::text, (select tandem.current_history()) as history, user_id as "userId", context_version as version,
        (extract(epoch from clock_timestamp() - at) * 1000)::float8 as "ageMs", unused_names as "unusedNames" from gone`,
    values: [after, limit],
  });
}

function pageOf(rows: readonly Row[]): OutboxPage {
  return {
    history: rows[0]?.history ?? '',
    entries: rows.map(({ userId, version, ageMs }) => ({ userId, version, ageMs })),
  };
}

/**
 * Counts unused names. It is the last statement before the commit, since relays that count the same name wait for each
 * other.
 */
async function countUnusedNames(db: Db, rows: readonly Row[]): Promise<void> {
  const names = rows.flatMap(({ unusedNames }) => unusedNames ?? []);
  if (names.length === 0) return;
  await query(db, {
    text: `with counted as (select name, count(*) as events from unnest($1::text[]) as u(name) group by name)
      insert into tandem.unused_event_names as n (name, events)
      select name, events from counted
      where exists (select from tandem.unused_event_names k where k.name = counted.name)
        or (select count(*) from tandem.unused_event_names) < $2
      order by name
      on conflict (name) do update set events = n.events + excluded.events, last_seen = clock_timestamp()`,
    values: [names, MAX_UNUSED_NAMES],
  });
}

/**
 * Truncates the table of a slot if it has no rows and no row is being added or relayed. No statement waits behind the
 * lock: it is acquired immediately or not at all, and never on the slot that currently receives events.
 */
async function emptyTable(pool: pg.Pool, { slot, slotTable, emptyAboveBytes }: SlotTable): Promise<void> {
  const [idle] = await query<{ bytes: number }>(pool, {
    text: `select pg_relation_size($1::regclass) as bytes where tandem.outbox_slot(clock_timestamp()) <> $2`,
    values: [slotTable, slot],
  });
  if ((idle?.bytes ?? 0) <= emptyAboveBytes) return;
  await transaction(pool, async (db) => {
    await query(db, { text: `lock table ${slotTable} in access exclusive mode nowait` });
    const rows = await query(db, { text: `select from ${slotTable} limit 1` });
    if (rows.length === 0) await query(db, { text: `truncate ${slotTable}` });
  }).catch((error: unknown) => {
    if (sqlState(error) !== '55P03') throw error;
  });
}
