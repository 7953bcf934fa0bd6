/** Overlay entries in Postgres: predictions of partial runs, and the latest live answers. */
import type { OverlayEntry, OverlayStore } from '@tandem/freshness/stored-prediction';
import { WriteBehind } from '@tandem/timing/write-behind';
import type pg from 'pg';
import { textArray } from '../certificate/certificate-statement.ts';
import { type Db, query } from '../sql/database.ts';
import { KNOWS_PROTOCOL } from '../sql/protocol.ts';

export function createOverlayStore(pool: pg.Pool): OverlayStore {
  return { put: (entries) => putEntries(pool, entries) };
}

/**
 * Keeps each entry by compare-and-set. Within a history and floor, an entry is never replaced by one with an older
 * label, or with an equal label and an older time. Entries of another history or protocol are not kept, since their
 * labels prove nothing here. Entries of an unknown model version are not kept either.
 *
 * Entries that differ only by user, usually all of them, are written by one statement. A statement with every value in
 * every row cost twice as much.
 */
export async function putEntries(db: Db, entries: readonly OverlayEntry[]): Promise<void> {
  for (const group of groupsOf(entries)) await putGroup(db, [...group.values()]);
  for (const group of groupsOf(entries.filter(({ demanded }) => demanded))) await noteDemanded(db, [...group.values()]);
}

/** The best entry of each user, since one insert cannot update a row twice. */
type Group = Map<string, OverlayEntry>;

function groupsOf(entries: readonly OverlayEntry[]): Iterable<Group> {
  const groups = new Map<string, Group>();
  let last: { readonly entry: OverlayEntry; readonly group: Group } | undefined;
  for (const entry of entries) {
    if (!last || !haveMuchInCommon(last.entry, entry)) {
      const key = JSON.stringify(COMMON.map((name) => entry[name]));
      const group: Group = groups.get(key) ?? new Map();
      groups.set(key, group);
      last = { entry, group };
    }
    const known = last.group.get(entry.userId);
    if (!known || replaces(entry, known)) last.group.set(entry.userId, entry);
  }
  return groups.values();
}

const COMMON = ['predictor', 'modelVersionId', 'overlayFloor', 'history', 'source', 'refreshed'] as const;

function haveMuchInCommon(one: OverlayEntry, other: OverlayEntry): boolean {
  return COMMON.every((name) => one[name] === other[name]);
}

async function putGroup(db: Db, entries: readonly OverlayEntry[]): Promise<void> {
  const [first] = entries;
  if (!first) return;
  await query(db, {
    name: 'tandem-put-overlay',
    text: PUT,
    values: [
      ...COMMON.map((name) => first[name] ?? false),
      textArray(entries.map(({ userId }) => userId)),
      // Arrays are written as literals, since the driver inspects the type of every element of an array.
      `{${entries.map(({ contextVersion }) => contextVersion).join(',')}}`,
      `{${entries.map(({ computedAt }) => computedAt).join(',')}}`,
      `{${entries.map(({ outputs }) => `"\\\\x${outputs.toString('hex')}"`).join(',')}}`,
    ],
  });
}

/** Notes demanded entries after they are stored, so that certificates name no entry that is missing. */
async function noteDemanded(db: Db, entries: readonly OverlayEntry[]): Promise<void> {
  const [first] = entries;
  if (!first) return;
  const { predictor, modelVersionId, overlayFloor, history } = first;
  await query(db, {
    name: 'tandem-note-demanded',
    text: 'select tandem.note_demanded($1, $2::jsonb, $3::text[], $4::bigint[], $5::float8[])',
    values: [
      predictor,
      JSON.stringify([modelVersionId, overlayFloor, history]),
      textArray(entries.map(({ userId }) => userId)),
      `{${entries.map(({ contextVersion }) => contextVersion).join(',')}}`,
      `{${entries.map(({ computedAt }) => computedAt).join(',')}}`,
    ],
  });
}

// The users are sorted, so that two writers of the same users do not deadlock.
const PUT = `
  insert into tandem.overlay as o
    (predictor, user_id, model_version_id, overlay_floor, history, context_version, source, refreshed, computed_at, outputs)
  select $1::text, e.user_id collate "C", $2::text, $3::bigint, $4::text, e.context_version, $5::text, $6::boolean,
    to_timestamp(e.computed_at / 1000), e.outputs
  from unnest($7::text[], $8::bigint[], $9::float8[], $10::bytea[]) as e(user_id, context_version, computed_at, outputs)
  where $4::text = tandem.current_history() and ${KNOWS_PROTOCOL}
    and exists (select from tandem.model_versions v where v.id = $2::text and v.predictor = $1::text)
  order by e.user_id collate "C"
  on conflict (predictor, user_id, model_version_id) do update set
    overlay_floor = excluded.overlay_floor, history = excluded.history, context_version = excluded.context_version,
    source = excluded.source, refreshed = excluded.refreshed, computed_at = excluded.computed_at, outputs = excluded.outputs
  where o.history <> excluded.history
    or (excluded.overlay_floor, excluded.context_version, excluded.computed_at)
     > (o.overlay_floor, o.context_version, o.computed_at)`;

// Live answers are written to the overlay in batches, some time after they were given. They are declared lossy: a read
// that misses one infers again. The gathering time is long, and entries are written in the order of their users, so
// that neighbouring rows and index entries are written together. For 100,000 random users a row cost Postgres 12 µs of
// CPU in unordered batches of 1,000, 9.4 µs if 5,000 were sorted, and 8.5 µs if 10,000 were sorted.

interface LossyWriterOptions {
  /** The maximum number of waiting entries; more are dropped. */
  readonly maxEntries?: number;
  /** The time for which entries are gathered in ms. */
  readonly flushMs?: number;
}

/** The maximum number of entries in a statement. */
const BATCH = 1_000;

export function createLossyWriter(
  store: OverlayStore,
  { maxEntries = 20_000, flushMs = 500 }: LossyWriterOptions = {},
) {
  const writer = new WriteBehind<OverlayEntry>({
    maxWaiting: maxEntries,
    batch: BATCH,
    flushMs,
    order: byUser,
    onFailure: 'drop',
    write: (entries) => store.put(entries),
  });
  return {
    keepLater(entries: readonly OverlayEntry[]): void {
      for (const entry of entries) {
        // The user id comes last: it may contain spaces, but the two parts before it do not.
        const key = `${entry.modelVersionId} ${entry.predictor} ${entry.userId}`;
        const known = writer.find(key);
        if (!known || replaces(entry, known)) writer.add(entry, key);
      }
    },
    /** Writes entries at once. Rejects if Postgres does not answer. */
    keepNow: (entries: readonly OverlayEntry[]): Promise<void> => store.put(entries),
    /** Returns the number of entries dropped so far, because too many waited or the store failed. */
    dropped: (): number => writer.dropped,
    /** Writes the waiting entries, then accepts no more. */
    close: (): Promise<void> => writer.close(),
  };
}

function byUser(one: OverlayEntry, other: OverlayEntry): number {
  if (one.userId === other.userId) return 0;
  return one.userId < other.userId ? -1 : 1;
}

/**
 * Returns whether the store would replace the known entry, so that only the entry of a user is written that the store
 * would keep.
 */
function replaces(entry: OverlayEntry, known: OverlayEntry): boolean {
  if (entry.history !== known.history) return true;
  if (entry.overlayFloor !== known.overlayFloor) return entry.overlayFloor > known.overlayFloor;
  if (entry.contextVersion !== known.contextVersion) return entry.contextVersion > known.contextVersion;
  return entry.computedAt > known.computedAt;
}
