/**
 * Keeps loaded values for as long as they are used. The limit is a time instead of a number, so that a cache is never
 * smaller than its working set.
 */

interface Entry<V> {
  readonly value: Promise<V>;
  usedAt: number;
}

const IDLE_MS = 600_000;

export class IdleCache<V> {
  readonly #load: (key: string) => Promise<V>;
  readonly #now: () => number;
  readonly #entries = new Map<string, Entry<V>>();

  /**
   * Creates a cache.
   * @param load called once for a key while the key is in use, and again after a rejection
   */
  constructor(load: (key: string) => Promise<V>, now: () => number = () => performance.now()) {
    this.#load = load;
    this.#now = now;
  }

  /** Returns the value. Each call that loads a value removes values that were not requested for 10 minutes. */
  get(key: string): Promise<V> {
    const known = this.#entries.get(key);
    if (known) {
      known.usedAt = this.#now();
      return known.value;
    }
    const oldest = this.#now() - IDLE_MS;
    for (const [other, { usedAt }] of this.#entries) if (usedAt < oldest) this.#entries.delete(other);
    const value = this.#load(key);
    this.#entries.set(key, { value, usedAt: this.#now() });
    value.catch(() => this.#entries.delete(key));
    return value;
  }
}
