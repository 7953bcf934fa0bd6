/**
 * An exposure is the first time in a step of a rollout that an arm serves a user. The arm may affect what the user does
 * afterwards. It may also cause a read to fail, so a failed read is an exposure, too: without failures the arm would
 * look too good.
 *
 * A process remembers logged users, so it rarely logs a user twice. Exposures are written in batches a few seconds
 * later, with the time at which they happened. They are declared lossy.
 */
import type { Source } from '@tandem/freshness/answer';
import type { ServedRollout } from '@tandem/freshness/certificate';

/** The source of an answer; `error` if there was no answer. */
export type ServedSource = Source | 'error';

export interface Exposure {
  readonly rolloutId: string;
  readonly step: number;
  readonly arm: string;
  readonly userId: string;
  readonly source: ServedSource;
  /** The user's context version in the answer; 0 if the answer has none. */
  readonly contextVersion: number;
  /** The time in ms on this process's monotonic clock. */
  readonly at: number;
}

export interface ExposedUsers {
  readonly arm: string;
  readonly source: ServedSource;
  readonly users: number;
}

/** Port: keeps the first exposure of each user, step and arm. Safe to repeat. */
export interface ExposureStore {
  /**
   * Stores exposures.
   * @param now the time on the same clock as the exposures' `at`
   */
  put(exposures: readonly Exposure[], now: number): Promise<void>;
}

interface ExposureLogOptions {
  readonly now: () => number;
  /** Adds an exposure. Returns false if there is no room; the exposure is then logged when the user is next served. */
  add(exposure: Exposure): boolean;
}

export function createExposureLog({ now, add }: ExposureLogOptions) {
  const logged = createUserMemory();
  return {
    /** Logs a served answer if it is the first that this process knows of for its user, step and arm. */
    note({ id, step, kind, overridden }: ServedRollout, served: Omit<Exposure, 'rolloutId' | 'step' | 'at'>): void {
      // A shadow serves no users, and an override does not assign users at random.
      if (kind === 'shadow' || overridden) return;
      const key = keyOf(served.userId, keyOf(served.arm, keyOf(id, step)));
      if (!logged.has(key) && add({ rolloutId: id, step, ...served, at: now() })) logged.add(key);
    },
  };
}

// The logged users of a process are kept as keys of 53 bits in two tables. When the younger table is full, it replaces
// the older one, whose keys are forgotten. A new table begins, twice as large up to a limit. Nothing is copied, so no
// read waits for it. A forgotten user is logged again, which changes nothing. A user takes 8 to 16 bytes, all users 16
// MB at most. Among a million users, the chance that a user's key equals another's is one in ten thousand million.

const FIRST_SLOTS = 4_096;
const MAX_SLOTS = 2 ** 20;

/** @param maxSlots the maximum number of slots of a table, a power of two */
export function createUserMemory(maxSlots: number = MAX_SLOTS) {
  let young = new KeyTable(Math.min(FIRST_SLOTS, maxSlots));
  let old = new KeyTable(1);
  return {
    has: (key: number): boolean => young.slotOf(key) >= 0 || old.slotOf(key) >= 0,
    add(key: number): void {
      if (young.isFull()) [old, young] = [young, new KeyTable(Math.min(young.slots * 2, maxSlots))];
      young.add(key);
    },
    /** Returns the bytes that the tables take. */
    bytes: (): number => 8 * (young.slots + old.slots),
  };
}

/**
 * Returns the key of a text, above 0 and below 2^53; cyrb53 by bryc (public domain).
 * @param seed further parts of the key
 */
export function keyOf(text: string, seed = 0): number {
  // A seed may be such a key itself, with more bits than an integer operation uses.
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

// A table with open addressing holds the keys: numbers above 0 and below 2^53, as `keyOf` returns them.

/** The share of slots to fill. Above it a search takes more than a few steps. */
const FILL = 0.6;

class KeyTable {
  readonly slots: number;
  readonly #keys: Float64Array;
  #size = 0;

  /**
   * Creates an empty table.
   * @param slots the number of slots, a power of two
   */
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

  /** Adds a key if the table does not have it. Returns its slot. */
  add(key: number): number {
    const slot = this.#find(key);
    if (this.#keys[slot] === key) return slot;
    this.#keys[slot] = key;
    this.#size++;
    return slot;
  }

  /** Returns the slot of the key, or the empty slot where the key belongs. */
  #find(key: number): number {
    let slot = key & (this.slots - 1);
    while (this.#keys[slot] !== 0 && this.#keys[slot] !== key) slot = (slot + 1) & (this.slots - 1);
    return slot;
  }
}

// The sources of a user's answers are kept as shares of the user's reads. Guardrails add up these shares, so each user
// counts as one, however often the user is read. Otherwise 700 failed reads of one user would be as much evidence as
// one failed read of each of 700 users. A process remembers the last 32 to 64 reads of a user, so that guardrails
// detect a model that begins to fail late. It keeps at most 630,000 users in 20 MB, in two tables like the user memory
// above. A forgotten user counts as a new user.

const SOURCES: readonly ServedSource[] = Object.freeze(['batch', 'live', 'stale', 'default', 'error'] as const);
/** The counts of a user: for each source the fast reads, then the slow reads. */
const KINDS = 2 * SOURCES.length;
/** When a user has this many reads, all the user's counts are halved. */
const WINDOW = 64;
const MAX_SHARE_SLOTS = 2 ** 19;

interface ReadOfArm {
  readonly source: ServedSource;
  readonly isSlow: boolean;
}

/** Receives each change of a user's share of a source, and of its slow part. */
type ShareChange = (source: ServedSource, share: number, slowShare: number) => void;

export type UserShares = ReturnType<typeof createUserShares>;

/** @param maxSlots the maximum number of slots of a table, a power of two */
export function createUserShares(maxSlots: number = MAX_SHARE_SLOTS) {
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
    /** Counts a read of the user with this key (`keyOf` user, arm and step). */
    note(key: number, read: ReadOfArm, change: ShareChange): void {
      const [table, slot] = place(key);
      table.note(slot, read, change);
    },
    /** Returns true at the first call for a user, which is the user's first score. */
    isFirstScore(key: number): boolean {
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
