/**
 * Whom a process has logged already: keys of 53 bits in two tables. Where the younger is full it takes the place of the
 * older, whose keys are forgotten, and a new one begins, twice as large up to a bound. Nothing is ever copied, so that no
 * read waits for it; and whoever is forgotten is logged again, which changes nothing.
 *
 * 8 to 16 bytes a user, 16 MB at most. Of a million users one in ten thousand million is taken for another.
 */

const FIRST_SLOTS = 4_096;
const MAX_SLOTS = 2 ** 20;
/** Beyond it a search takes more than a few steps. */
const FILL = 0.6;

export interface UserMemory {
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
    has: (key) => young.has(key) || old.has(key),
    add(key) {
      if (young.isFull()) [old, young] = [young, new KeyTable(Math.min(young.slots * 2, maxSlots))];
      young.add(key);
    },
    bytes: () => 8 * (young.slots + old.slots),
  };
}

/** Open addressing; 0 is no key. */
class KeyTable {
  readonly slots: number;
  readonly #keys: Float64Array;
  #size = 0;

  constructor(slots: number) {
    this.slots = slots;
    this.#keys = new Float64Array(slots);
  }

  isFull(): boolean {
    return this.#size >= this.slots * FILL;
  }

  has(key: number): boolean {
    return this.#keys[this.#place(key)] === key;
  }

  add(key: number): void {
    const place = this.#place(key);
    if (this.#keys[place] === key) return;
    this.#keys[place] = key;
    this.#size++;
  }

  /** Of the key, or the empty one where it would stand. */
  #place(key: number): number {
    let place = key & (this.slots - 1);
    while (this.#keys[place] !== 0 && this.#keys[place] !== key) place = (place + 1) & (this.slots - 1);
    return place;
  }
}

/** Of a text, above 0 and below 2^53; cyrb53 by bryc (public domain). @param seed what else the key is of */
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
