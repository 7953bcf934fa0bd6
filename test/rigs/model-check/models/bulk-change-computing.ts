/** Computes predictions while a watched source changes in bulk, and stores them. */
import type { BulkRules, BulkState, Entry } from './bulk-change-state.ts';

/** Returns the effective overlay floor. */
export function floorOf({ floor: kind }: BulkRules, { postgres }: Pick<BulkState, 'postgres'>): number {
  const { arm, source } = postgres;
  return kind === 'sum' ? arm.floor + source : Math.max(arm.floor, source);
}

/** Reads the user's current version and features in one statement. */
export function computed({ postgres }: BulkState): Pick<Entry, 'label' | 'from'> {
  return { label: postgres.version, from: postgres.changes };
}

/** Stores the entry by compare-and-set, in Postgres and in Redis. */
export function keep(draft: BulkState, entry: Entry): void {
  const { postgres, redis } = draft;
  if (isNewer(entry, postgres.entry)) postgres.entry = entry;
  if (isNewer(entry, redis.overlay)) redis.overlay = entry;
}

function isNewer(entry: Entry, known: Entry | null): boolean {
  if (known === null) return true;
  return entry.floor === known.floor ? entry.label >= known.label : entry.floor > known.floor;
}
