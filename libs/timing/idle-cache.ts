/**
 * Remembers loaded values for as long as they are used. The bound is time rather than a number, so that a cache is
 * never smaller than its working set.
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

  /** @param load called once for a key while it is in use; again after it rejected */
  constructor(load: (key: string) => Promise<V>, now: () => number = () => performance.now()) {
    this.#load = load;
    this.#now = now;
  }

  /** Returns the value. A call that loads forgets values that were not asked for within 10 minutes. */
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
