/**
 * Whom a process has logged already: keys of 53 bits in two tables. Where the younger is full it takes the place of the
 * older, whose keys are forgotten, and a new one begins, twice as large up to a bound. Nothing is ever copied, so that no
 * read waits for it; and whoever is forgotten is logged again, which changes nothing.
 *
 * 8 to 16 bytes a user, 16 MB at most. Of a million users one in ten thousand million is taken for another.
 */
import { KeyTable } from './key-table.ts';

const FIRST_SLOTS = 4_096;
const MAX_SLOTS = 2 ** 20;

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
    has: (key) => young.slotOf(key) >= 0 || old.slotOf(key) >= 0,
    add(key) {
      if (young.isFull()) [old, young] = [young, new KeyTable(Math.min(young.slots * 2, maxSlots))];
      young.add(key);
    },
    bytes: () => 8 * (young.slots + old.slots),
  };
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
