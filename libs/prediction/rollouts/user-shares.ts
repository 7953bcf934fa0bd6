/**
 * What each user of an arm was answered with, as shares of their own reads. Guardrails add up these shares: a user counts
 * as one user, however often they read. Else the 700 failed reads of one user would be as much evidence as one failed
 * read each of 700 users.
 *
 * A process remembers the last 32 to 64 reads of a user, so that a model that begins to fail late is seen. It keeps at most
 * 630,000 users in 20 MB, in two tables as exposures-memory.ts does. A forgotten user counts as a new one.
 */
import type { ServedSource } from './exposures.ts';
import { KeyTable } from './key-table.ts';

const SOURCES: readonly ServedSource[] = Object.freeze(['batch', 'live', 'stale', 'default', 'error'] as const);
/** Counts of a user: of each source the reads that were not slow, then those that were. */
const KINDS = 2 * SOURCES.length;
/** The reads of a user at which all counts are halved. */
const WINDOW = 64;
const FIRST_SLOTS = 4_096;
const MAX_SLOTS = 2 ** 19;

export interface ReadOfArm {
  readonly source: ServedSource;
  readonly isSlow: boolean;
}

/** Told of each change of a user's share of a source, and of the part of it that was slow. */
export type ShareChange = (source: ServedSource, share: number, slowShare: number) => void;

export interface UserShares {
  /** Counts a read of the user of a key (keyOf, of user, arm and step). */
  note(key: number, read: ReadOfArm, change: ShareChange): void;
  /** Whether this is the first time that the user of a noted key has a score. */
  isFirstScore(key: number): boolean;
}

/** @param maxSlots of a table; a power of two */
export function createUserShares(maxSlots: number = MAX_SLOTS): UserShares {
  let young = new ShareTable(Math.min(FIRST_SLOTS, maxSlots));
  let old = new ShareTable(1);

  function place(key: number): readonly [table: ShareTable, slot: number] {
    for (const table of [young, old]) {
      const slot = table.keys.slotOf(key);
      if (slot >= 0) return [table, slot];
    }
    if (young.keys.isFull()) [old, young] = [young, new ShareTable(Math.min(young.keys.slots * 2, maxSlots))];
    return [young, young.keys.add(key)];
  }

  return {
    note(key, read, change) {
      const [table, slot] = place(key);
      table.note(slot, read, change);
    },
    isFirstScore(key) {
      const [table, slot] = place(key);
      return table.isFirstScore(slot);
    },
  };
}

class ShareTable {
  readonly keys: KeyTable;
  readonly #counts: Uint8Array;
  readonly #hasScore: Uint8Array;

  constructor(slots: number) {
    this.keys = new KeyTable(slots);
    this.#counts = new Uint8Array(slots * KINDS);
    this.#hasScore = new Uint8Array(slots);
  }

  note(slot: number, { source, isSlow }: ReadOfArm, change: ShareChange): void {
    const counts = this.#counts.subarray(slot * KINDS, (slot + 1) * KINDS);
    const before = Uint8Array.from(counts);
    if (sumOf(counts) >= WINDOW) for (let kind = 0; kind < KINDS; kind++) counts[kind] = (counts[kind] ?? 0) >> 1;
    const kind = 2 * SOURCES.indexOf(source) + (isSlow ? 1 : 0);
    counts[kind] = (counts[kind] ?? 0) + 1;
    tellChanges(before, counts, change);
  }

  isFirstScore(slot: number): boolean {
    const isFirst = this.#hasScore[slot] === 0;
    this.#hasScore[slot] = 1;
    return isFirst;
  }
}

function tellChanges(before: Uint8Array, after: Uint8Array, change: ShareChange): void {
  const [readsBefore, readsAfter] = [Math.max(1, sumOf(before)), sumOf(after)];
  const changeOf = (kind: number) => (after[kind] ?? 0) / readsAfter - (before[kind] ?? 0) / readsBefore;
  for (const [i, source] of SOURCES.entries()) {
    const [fast, slow] = [changeOf(2 * i), changeOf(2 * i + 1)];
    if (fast !== 0 || slow !== 0) change(source, fast + slow, slow);
  }
}

function sumOf(counts: Uint8Array): number {
  let sum = 0;
  for (const count of counts) sum += count;
  return sum;
}
