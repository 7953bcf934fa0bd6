/** The overlay's two places, each with its compare-and-set. */
import type { AssignmentState, Entry } from './assignment-state.ts';

/** I5, in Postgres: of each model version the latest entry, by floor and label. */
export function keepRow({ postgres }: AssignmentState, entry: Entry): void {
  const known = postgres.entries[entry.model - 1];
  const isNewer = !known || entry.floor > known.floor || (entry.floor === known.floor && entry.label > known.label);
  if (isNewer) postgres.entries[entry.model - 1] = entry;
}

/** I5, in Redis, as put-overlay.lua has it: a higher floor stays; within a floor and model version the higher label. */
export function putEntry({ redis }: AssignmentState, entry: Entry): void {
  const known = redis.overlay;
  const stays =
    known &&
    (known.floor !== entry.floor
      ? known.floor > entry.floor
      : known.model === entry.model && known.label >= entry.label);
  if (!stays) redis.overlay = entry;
}
