/**
 * Writes entries in the background, a moment after they came. They wait in memory up to a bound; a flush writes them in
 * batches, and one flush runs at a time. `add` never waits. Only for entries that may be lost: a process that is killed loses
 * what waits, and an entry that finds no room is dropped and counted.
 */

export interface WriteBehindOptions<Entry> {
  /** Entries that wait at most; further ones are dropped. */
  readonly maxWaiting: number;
  /** Entries that one write is given at most. */
  readonly batch: number;
  /** Milliseconds from the first entry, or from the end of the last flush, to the next flush. */
  readonly flushMs: number;
  /** Number of waiting entries that starts a flush at once. */
  readonly flushAt?: number;
  /** Order in which a flush writes; absent: as the entries came. */
  order?(one: Entry, other: Entry): number;
  /** Runs first in each flush. If it rejects, the flush fails. */
  before?(): Promise<void>;
  write(entries: readonly Entry[]): Promise<void>;
  /**
   * After a write that rejected: `drop` counts its entries as dropped, and the flush continues; `retry` ends the flush,
   * and the next one begins with them.
   */
  readonly onFailure: 'drop' | 'retry';
  /** Called after each flush; `failed` if `before` rejected, or a write that is retried. Must not throw. */
  onFlush?(outcome: 'ok' | 'failed', error?: unknown): void;
  /** Called with entries that are dropped: no room, a failed write, or the close. Must not throw. */
  onDrop?(entries: readonly Entry[]): void;
}

/** Milliseconds after which a close begins no write: the end of a process does not wait for a silent server. */
const CLOSE_MS = 5_000;

export class WriteBehind<Entry> {
  readonly #options: WriteBehindOptions<Entry>;
  #waiting = new Map<unknown, Entry>();
  #dropped = 0;
  #timer: NodeJS.Timeout | undefined;
  #flushing: Promise<void> | undefined;
  #isClosed = false;
  /** On the clock of `performance.now`: no flush and no write begins after it. */
  #deadline = Number.POSITIVE_INFINITY;

  constructor(options: WriteBehindOptions<Entry>) {
    this.#options = options;
  }

  /** Returns the number of entries that wait. */
  get size(): number {
    return this.#waiting.size;
  }

  /** Returns how many entries were dropped so far, for want of room, by failed writes or by the close. */
  get dropped(): number {
    return this.#dropped;
  }

  /** Returns the entry that waits under the key. */
  find(key: unknown): Entry | undefined {
    return this.#waiting.get(key);
  }

  /**
   * Lets an entry wait, in the place of the one of its key. Returns false if it is dropped: there is no room, or the close
   * has begun.
   */
  add(entry: Entry, key: unknown = entry): boolean {
    const { maxWaiting, flushAt } = this.#options;
    if (this.#isClosed || (this.#waiting.size >= maxWaiting && !this.#waiting.has(key))) {
      this.#drop([entry]);
      return false;
    }
    this.#waiting.set(key, entry);
    if (this.#waiting.size === flushAt) void this.#flush();
    else this.schedule();
    return true;
  }

  /** Has a flush begin after `flushMs`, though no entry may wait, unless one is under way or scheduled. */
  schedule(): void {
    if (this.#isClosed || this.#flushing) return;
    this.#timer ??= setTimeout(() => {
      this.#timer = undefined;
      void this.#flush();
    }, this.#options.flushMs).unref();
  }

  /** Takes no more entries and writes the waiting ones; drops entries that are not written in time. Never rejects. */
  async close(): Promise<void> {
    this.#isClosed = true;
    this.#deadline = performance.now() + CLOSE_MS;
    await this.#flushing;
    if (performance.now() < this.#deadline) await this.#flush();
    this.#drop([...this.#waiting.values()]);
    this.#waiting.clear();
  }

  #drop(entries: readonly Entry[]): void {
    if (entries.length === 0) return;
    this.#dropped += entries.length;
    this.#options.onDrop?.(entries);
  }

  #flush(): Promise<void> {
    this.#flushing ??= this.#runFlush();
    return this.#flushing;
  }

  async #runFlush(): Promise<void> {
    const { flushAt = Number.POSITIVE_INFINITY, onFlush } = this.#options;
    clearTimeout(this.#timer);
    this.#timer = undefined;
    const failure = await this.#writeWaiting().then(
      () => undefined,
      (error: unknown) => ({ error }),
    );
    this.#flushing = undefined;
    if (!this.#isClosed && !failure && this.#waiting.size >= flushAt) void this.#flush();
    else if (this.#waiting.size > 0) this.schedule();
    if (failure) onFlush?.('failed', failure.error);
    else onFlush?.('ok');
  }

  /** Writes what waits by now: what comes meanwhile waits for its own moment. */
  async #writeWaiting(): Promise<void> {
    const { batch, before, write, onFailure } = this.#options;
    await before?.();
    const keys = this.#keysInOrder();
    for (let at = 0; at < keys.length && performance.now() < this.#deadline; at += batch) {
      const taken = this.#take(keys.slice(at, at + batch));
      const entries = taken.map(([, entry]) => entry);
      try {
        await write(entries);
      } catch (error) {
        if (onFailure === 'drop') this.#drop(entries);
        else {
          // An entry that came meanwhile keeps its key: it is the later one.
          this.#waiting = new Map([...taken, ...this.#waiting]);
          throw error;
        }
      }
    }
  }

  /** Returns the keys that wait, in the order of their writes. */
  #keysInOrder(): unknown[] {
    const { order } = this.#options;
    if (!order) return [...this.#waiting.keys()];
    return [...this.#waiting].sort(([, one], [, other]) => order(one, other)).map(([key]) => key);
  }

  /** Removes the entries of these keys, and returns them. Only a flush removes entries: each key still waits. */
  #take(keys: readonly unknown[]): [key: unknown, entry: Entry][] {
    return keys.map((key) => {
      const entry = this.#waiting.get(key) as Entry;
      this.#waiting.delete(key);
      return [key, entry];
    });
  }
}
