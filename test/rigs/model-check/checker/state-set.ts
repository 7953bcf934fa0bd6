/**
 * The visited states in order, each as a 64-bit hash. The checker misses a state only if two hashes collide. Among ten
 * million states, the probability of a collision is below three in a million.
 */

export interface StateSet {
  readonly size: number;
  /** Returns the place of a state. A new state gets a new place, which equals the previous size. */
  place(state: unknown): number;
}

const EMPTY = 0;

export function createStateSet(): StateSet {
  let size = 0;
  let low = new Uint32Array(1 << 16);
  let high = new Uint32Array(1 << 16);
  /** A hash table with open addressing; an entry is a place + 1. There are at least twice as many slots as places. */
  let slots = new Uint32Array(1 << 17);

  function grow(): void {
    low = widened(low);
    high = widened(high);
    slots = new Uint32Array(slots.length * 2);
    for (let place = 0; place < size; place++) slots[freeSlot(low[place] as number)] = place + 1;
  }

  function freeSlot(hash: number): number {
    let slot = hash & (slots.length - 1);
    while (slots[slot] !== EMPTY) slot = (slot + 1) & (slots.length - 1);
    return slot;
  }

  return {
    get size() {
      return size;
    },
    place(state) {
      const { a, b } = fingerprint(state);
      let slot = a & (slots.length - 1);
      for (; slots[slot] !== EMPTY; slot = (slot + 1) & (slots.length - 1)) {
        const place = (slots[slot] as number) - 1;
        if (low[place] === a && high[place] === b) return place;
      }
      if (size === low.length) {
        grow();
        slot = freeSlot(a);
      }
      low[size] = a;
      high[size] = b;
      slots[slot] = size + 1;
      return size++;
    },
  };
}

export function widened(numbers: Uint32Array<ArrayBuffer>): Uint32Array<ArrayBuffer> {
  const wider = new Uint32Array(numbers.length * 2);
  wider.set(numbers);
  return wider;
}

const hash = { a: 0, b: 0 };
const names = new Map<string, number>();

/** Computes two 32-bit hashes in the manner of MurmurHash3, with its constants. */
function fingerprint(state: unknown): { readonly a: number; readonly b: number } {
  hash.a = 0x2f0b4a27;
  hash.b = 0x51ed270b;
  add(state);
  const { a, b } = hash;
  hash.a = finished(a ^ Math.imul(b, 0x9e3779b1));
  hash.b = finished(b ^ Math.imul(a, 0x85ebca6b));
  return hash;
}

function add(value: unknown): void {
  if (typeof value === 'number') mix(value);
  else if (typeof value === 'boolean') mix(value ? 1_001 : 1_002);
  else if (value === null) mix(1_003);
  else if (typeof value === 'string') mix(numberOf(value));
  else if (Array.isArray(value)) {
    mix(2_000 + value.length);
    for (const item of value) add(item);
  } else {
    mix(1_004);
    for (const name in value as object) add((value as Record<string, unknown>)[name]);
  }
}

function numberOf(text: string): number {
  const known = names.get(text);
  if (known !== undefined) return known;
  const number = 10_000 + names.size;
  names.set(text, number);
  return number;
}

function mix(code: number): void {
  const a = hash.a ^ Math.imul(code + 7, 0xcc9e2d51);
  hash.a = Math.imul((a << 13) | (a >>> 19), 5) + 0xe6546b64;
  const b = hash.b ^ Math.imul(code + 13, 0x1b873593);
  hash.b = Math.imul((b << 17) | (b >>> 15), 9) + 0x38b34ae5;
}

function finished(sum: number): number {
  let h = sum ^ (sum >>> 16);
  h = Math.imul(h, 0x85ebca6b);
  h ^= h >>> 13;
  h = Math.imul(h, 0xc2b2ae35);
  return (h ^ (h >>> 16)) >>> 0;
}
