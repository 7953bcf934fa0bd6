/** The overlay's two places, each with its compare-and-set. */

/** As far as one entry gives way to another. Numbers stand for ids. */
interface Entry {
  readonly label: number;
  readonly model: number;
  readonly floor: number;
}

/** I5, in Postgres: of each model version the latest entry, by floor and label. */
export function keepRow<E extends Entry>({ postgres }: { postgres: { entries: (E | null)[] } }, entry: E): void {
  const known = postgres.entries[entry.model - 1];
  if (!known || isNewer(entry, known)) postgres.entries[entry.model - 1] = entry;
}

/** I5, in Redis, as put-overlay.lua has it: there is room for one; of two model versions neither is newer. */
export function putEntry<E extends Entry>({ redis }: { redis: { overlay: E | null } }, entry: E): void {
  const known = redis.overlay;
  if (known?.model !== entry.model || isNewer(entry, known)) redis.overlay = entry;
}

function isNewer(entry: Entry, known: Entry): boolean {
  return entry.floor === known.floor ? entry.label > known.label : entry.floor > known.floor;
}
