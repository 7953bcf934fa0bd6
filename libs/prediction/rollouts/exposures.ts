/**
 * Exposures: the first time in a step of a rollout that a user is served from an arm. The arm may cause what the user
 * does afterwards. It may also cause a read to fail, so a failed read is an exposure too: leaving failures out would
 * flatter the arm.
 *
 * A process remembers logged users, so it rarely logs a user twice. Exposures are written in batches, a few seconds
 * later, with their time. They are declared lossy.
 */
import type { Source } from '@tandem/freshness/answer';
import type { ServedRollout } from '@tandem/freshness/certificate';

/** The source of an answer; `error`: there was none. */
export type ServedSource = Source | 'error';

export interface Exposure {
  readonly rolloutId: string;
  readonly step: number;
  readonly arm: string;
  readonly userId: string;
  readonly source: ServedSource;
  /** The user's context version in the answer; 0 if the answer has none. */
  readonly contextVersion: number;
  /** Milliseconds on this process's monotonic clock. */
  readonly at: number;
}

export interface ExposedUsers {
  readonly arm: string;
  readonly source: ServedSource;
  readonly users: number;
}

/** Port: keeps those that are the first of their user, step and arm. Safe to repeat. */
export interface ExposureStore {
  /** @param now on the clock of their `at` */
  put(exposures: readonly Exposure[], now: number): Promise<void>;
}

interface ExposureLog {
  /** Records a served answer; logs it if it is the first that this process knows of. */
  note(rollout: ServedRollout, served: Omit<Exposure, 'rolloutId' | 'step' | 'at'>): void;
}

interface ExposureLogOptions {
  readonly now: () => number;
  /** Returns false if there is no room: the exposure is logged when its user is next served. */
  add(exposure: Exposure): boolean;
}

export function createExposureLog({ now, add }: ExposureLogOptions): ExposureLog {
  const logged = createUserMemory();
  return {
    note({ id, step, kind, overridden }, served) {
      // A shadow serves no users; and a user assigned by hand was not assigned at random.
      if (kind === 'shadow' || overridden) return;
      const key = keyOf(served.userId, keyOf(served.arm, keyOf(id, step)));
      if (!logged.has(key) && add({ rolloutId: id, step, ...served, at: now() })) logged.add(key);
    },
  };
}

// The users that a process has logged: keys of 53 bits in two tables. A full younger table replaces the older one,
// whose keys are forgotten, and a new table starts, twice as large up to a bound. Nothing is copied, so no read waits
// for it. A forgotten user is logged again, which changes nothing. 8 to 16 bytes a user, 16 MB at most. Among a million
// users, one in ten thousand million is mistaken for another.

const FIRST_SLOTS = 4_096;
const MAX_SLOTS = 2 ** 20;

interface UserMemory {
  has(key: number): boolean;
  add(key: number): void;
  /** Bytes that it takes. */
  bytes(): number;
}

/** @param maxSlots of a table; a power of two */
export function createUserMemory(maxSlots: number = MAX_SLOTS): UserMemory {
  let young = new KeyTable(Math.min(FIRST_SLOTS, maxSlots));
  let old = new KeyTable(1);
  return {
    has: (key) => young.slotOf(key) >= 0 || old.slotOf(key) >= 0,
    add(key) {
      if (young.isFull()) [old, young] = [young, new KeyTable(Math.min(young.slots * 2, maxSlots))];
      young.add(key);
    },
    bytes: () => 8 * (young.slots + old.slots),
  };
}

/**
 * Returns the key of a text, above 0 and below 2^53; cyrb53 by bryc (public domain). @param seed further parts of the
 * key
 */
export function keyOf(text: string, seed = 0): number {
  // A seed may be such a key itself, of more bits than an integer operation takes.
  let one = 0xdeadbeef ^ (seed >>> 0);
  let other = 0x41c6ce57 ^ (seed / 2 ** 32);
  for (let i = 0; i < text.length; i++) {
    const unit = text.charCodeAt(i);
    one = Math.imul(one ^ unit, 2654435761);
    other = Math.imul(other ^ unit, 1597334677);
  }
  one = Math.imul(one ^ (one >>> 16), 2246822507) ^ Math.imul(other ^ (other >>> 13), 3266489909);
  other = Math.imul(other ^ (other >>> 16), 2246822507) ^ Math.imul(one ^ (one >>> 13), 3266489909);
  return 2 ** 32 * (other & 0x1fffff) + (one >>> 0) || 1;
}

// A table of keys with open addressing: numbers above 0 and below 2^53, as `keyOf` gives them.

/** Beyond it a search takes more than a few steps. */
const FILL = 0.6;

class KeyTable {
  readonly slots: number;
  readonly #keys: Float64Array;
  #size = 0;

  /** @param slots a power of two */
  constructor(slots: number) {
    this.slots = slots;
    this.#keys = new Float64Array(slots);
  }

  isFull(): boolean {
    return this.#size >= this.slots * FILL;
  }

  /** Returns the slot of a key; -1 if the table does not have it. */
  slotOf(key: number): number {
    const slot = this.#find(key);
    return this.#keys[slot] === key ? slot : -1;
  }

  /** Returns the slot of a key, which is added if the table does not have it. */
  add(key: number): number {
    const slot = this.#find(key);
    if (this.#keys[slot] === key) return slot;
    this.#keys[slot] = key;
    this.#size++;
    return slot;
  }

  /** Returns the slot of the key, or the empty one where it would stand. */
  #find(key: number): number {
    let slot = key & (this.slots - 1);
    while (this.#keys[slot] !== 0 && this.#keys[slot] !== key) slot = (slot + 1) & (this.slots - 1);
    return slot;
  }
}

// What each user of an arm was answered with, as shares of their own reads. Guardrails add up these shares: a user counts
// as one user, however often they read. Else the 700 failed reads of one user would be as much evidence as one failed
// read each of 700 users.
// A process remembers the last 32 to 64 reads of a user, so that a model that begins to fail late is seen. It keeps at most
// 630,000 users in 20 MB, in two tables as the user memory above. A forgotten user counts as a new one.

const SOURCES: readonly ServedSource[] = Object.freeze(['batch', 'live', 'stale', 'default', 'error'] as const);
/** Counts of a user: of each source the reads that were not slow, then those that were. */
const KINDS = 2 * SOURCES.length;
/** The reads of a user at which all counts are halved. */
const WINDOW = 64;
const MAX_SHARE_SLOTS = 2 ** 19;

interface ReadOfArm {
  readonly source: ServedSource;
  readonly isSlow: boolean;
}

/** Receives each change of a user's share of a source, and of its slow part. */
type ShareChange = (source: ServedSource, share: number, slowShare: number) => void;

export interface UserShares {
  /** Counts a read of the user of a key (keyOf, of user, arm and step). */
  note(key: number, read: ReadOfArm, change: ShareChange): void;
  /** Whether this is the first time that the user of a noted key has a score. */
  isFirstScore(key: number): boolean;
}

/** @param maxSlots of a table; a power of two */
export function createUserShares(maxSlots: number = MAX_SHARE_SLOTS): UserShares {
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
