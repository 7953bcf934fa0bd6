/** A table of keys with open addressing: numbers above 0 and below 2^53, as keyOf (exposures-memory.ts) gives them. */

/** Beyond it a search takes more than a few steps. */
const FILL = 0.6;

export class KeyTable {
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

  /** Returns the slot of a key; -1 where the table does not have it. */
  slotOf(key: number): number {
    const slot = this.#find(key);
    return this.#keys[slot] === key ? slot : -1;
  }

  /** Returns the slot of a key, which is added where the table does not have it. */
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
