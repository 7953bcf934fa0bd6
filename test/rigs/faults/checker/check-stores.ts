/**
 * Compares Postgres with the history after the load has ended. Every acknowledged event is stored once, and no other
 * event is stored. The versions of contexts match their events. Every run has ended and covers its users.
 */
import type pg from 'pg';
import { STORED } from './check-events.ts';
import type { Checker } from './checker.ts';
import { NOT_ACKNOWLEDGED } from './event-memory.ts';

export type Queryable = Pick<pg.Pool, 'query'>;

export interface StoresToCheck {
  /** Sources of the load's events. */
  readonly sources: readonly string[];
  /** A query that returns `user_id` (text) and `changes` (int) of the application's own rows. */
  readonly changesSql: string;
  /** Whether a watch raises the versions when rows change; the load then sends no events. */
  readonly isWatched?: boolean;
}

/** The number of rows that are read at once, so that memory does not grow with the number of rows. */
const PAGE = 10_000;

/** Checks the stores and records violations. It may be called again after more load. */
export async function checkStores(db: Queryable, checker: Checker, stores: StoresToCheck): Promise<void> {
  await checkEventIds(db, checker, stores.sources);
  await checkEventLog(db, checker, stores.sources);
  if (stores.isWatched) await checkWatchedContexts(db, checker, stores.changesSql);
  else await checkContexts(db, checker);
  await checkSeen(db, checker, stores.changesSql);
}

interface StoredEvent {
  readonly source: string;
  readonly id: string;
  readonly userId: string;
  readonly version: number;
}

async function checkEventIds(db: Queryable, checker: Checker, sources: readonly string[]): Promise<void> {
  const { known, violations } = checker;
  known.events.unmark(STORED);
  let after: readonly [string, string] = ['', ''];
  for (;;) {
    const { rows } = await db.query<StoredEvent>({
      text: `select source, id, user_id as "userId", context_version::int as version from tandem.event_ids
        where source = any ($1) and (source, id) > ($2, $3) order by source, id limit ${PAGE}`,
      values: [sources, ...after],
    });
    for (const row of rows) checkEventId(checker, row);
    const last = rows.at(-1);
    if (last === undefined) break;
    after = [last.source, last.id];
  }
  for (let place = 0; place < known.events.size; place++) {
    if (known.events.version(place) === NOT_ACKNOWLEDGED || known.events.isMarked(place, STORED)) continue;
    const event = { version: known.events.version(place), score: known.events.score(place) };
    violations.note('acknowledged event lost', 'no such id in tandem.event_ids', event);
  }
}

function checkEventId({ known, violations }: Checker, row: StoredEvent): void {
  const place = known.events.find(row.id);
  if (place < 0) {
    // After a lost history the checker does not know all ids that were sent.
    if (!known.faults.isHistoryLost()) violations.note('event never sent', 'no writer sent this id', row);
    return;
  }
  if (!known.events.mark(place, STORED)) violations.note('event versions', 'stored twice', row);
  if (known.events.user(place) !== known.users.get(row.userId))
    violations.note('event versions', 'of another user', row);
  const version = known.events.version(place);
  if (version !== NOT_ACKNOWLEDGED && version !== row.version) {
    violations.note('event versions', `acknowledged as ${version}`, row);
  }
}

/** The log of events, with the events that a migration left in the old table (migrations/0051_events_by_day.sql). */
export const EVENT_LOG = `(select source, id, user_id, data from tandem.events
  union all select source, id, user_id, data from tandem.events_before) e`;

/** Checks that the log of events and the table of their ids agree: both have each event once. */
async function checkEventLog(db: Queryable, { violations }: Checker, sources: readonly string[]): Promise<void> {
  const { rows } = await db.query({
    text: `select coalesce(l.id, i.id) as id, coalesce(l.n, 0)::int as "inLog", (i.id is not null) as "isKnown"
      from (select source, id, count(*) as n from ${EVENT_LOG} where source = any ($1) group by source, id) l
      full join (select source, id from tandem.event_ids where source = any ($1)) i
        on i.source = l.source collate "C" and i.id = l.id collate "C"
      where l.n is distinct from 1 or i.id is null limit 100`,
    values: [sources],
  });
  for (const row of rows) violations.note('event versions', 'log and ids differ', row);
}

async function checkContexts(db: Queryable, { violations }: Checker): Promise<void> {
  const { rows } = await db.query({
    text: `select c.user_id as "userId", c.version::int, e.events::int, e.versions::int, e.highest::int
      from tandem.user_contexts c
      left join (select user_id, count(*) as events, count(distinct context_version) as versions,
          max(context_version) as highest from tandem.event_ids group by user_id) e using (user_id)
      where case when c.deleted_version = 0
        then c.version <> coalesce(e.events, 0) or e.events <> e.versions or e.highest <> c.version
        -- Erasures and readmissions raise the version too, and events between them do not.
        else c.version < greatest(e.highest, c.deleted_version) end
      limit 100`,
  });
  for (const row of rows) violations.note('context differs from its events', 'version, events, highest', row);
}

/** Checks contexts of watched rows of one user. A change raises the version once, or not at all if it is part of a bulk change. */
async function checkWatchedContexts(db: Queryable, { violations, known }: Checker, changesSql: string): Promise<void> {
  const { rows } = await db.query({
    text: `select c.user_id as "userId", c.version::int, s.changes::int
      from tandem.user_contexts c join (${changesSql}) s on c.user_id = s.user_id collate "C"
      where c.deleted_version = 0 and c.version > s.changes and c.user_id <> all ($1) limit 100`,
    values: [[...known.users].flatMap(([userId, user]) => (known.sharing.has(user) ? [userId] : []))],
  });
  for (const row of rows) violations.note('context differs from its events', 'version above the changes', row);
}

interface StoredUser {
  readonly userId: string;
  readonly changes: number;
  readonly version: number;
}

/** Checks that no answer had a label or a score above the stores. */
async function checkSeen(db: Queryable, { known, violations }: Checker, changesSql: string): Promise<void> {
  let after: string | null = null;
  for (;;) {
    const page: pg.QueryResult<StoredUser> = await db.query<StoredUser>({
      text: `select s.user_id as "userId", s.changes::int, coalesce(c.version, 0)::int as version
        from (${changesSql}) s left join tandem.user_contexts c on c.user_id = s.user_id collate "C"
        where $1::text is null or s.user_id > $1 order by s.user_id limit ${PAGE}`,
      values: [after],
    });
    for (const row of page.rows) {
      const user = known.users.get(row.userId);
      if (user === undefined) continue;
      const { label, score } = known.highestSeen(user);
      if (label > row.version || score > row.changes) {
        violations.note('answer beyond the stores', 'above the stores', { row, label, score });
      }
    }
    after = page.rows.at(-1)?.userId ?? null;
    if (after === null) return;
  }
}
