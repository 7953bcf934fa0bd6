/** The overlay's two stores, Postgres and Redis, each with its compare-and-set. */

/** The fields of an entry that decide which of two entries is newer. Numbers stand for ids. */
interface Entry {
  readonly label: number;
  readonly model: number;
  readonly floor: number;
}

/** Stores an entry in Postgres (I5), which keeps the latest entry of each model version, by floor and label. */
export function keepRow<E extends Entry>({ postgres }: { postgres: { entries: (E | null)[] } }, entry: E): void {
  const known = postgres.entries[entry.model - 1];
  if (!known || isNewer(entry, known)) postgres.entries[entry.model - 1] = entry;
}

/** Stores an entry in Redis (I5), as put-overlay.lua does: Redis keeps one entry; of two model versions neither is newer. */
export function putEntry<E extends Entry>({ redis }: { redis: { overlay: E | null } }, entry: E): void {
  const known = redis.overlay;
  if (known?.model !== entry.model || isNewer(entry, known)) redis.overlay = entry;
}

function isNewer(entry: Entry, known: Entry): boolean {
  return entry.floor === known.floor ? entry.label > known.label : entry.floor > known.floor;
}
