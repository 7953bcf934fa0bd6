/**
 * Writes entries in the background, shortly after they were added. They wait in memory, up to a limit. A flush writes
 * them in batches, and only one flush runs at a time. `add` never waits. Use it only for entries that may be lost: a
 * killed process loses the waiting entries, and an entry beyond the limit is dropped and counted.
 */

export interface WriteBehindOptions<Entry> {
  /** The most waiting entries. Further entries are dropped. */
  readonly maxWaiting: number;
  /** The most entries of one write. */
  readonly batch: number;
  /** Milliseconds from the first entry, or from the end of the last flush, to the next flush. */
  readonly flushMs: number;
  /** The number of waiting entries that starts a flush at once. */
  readonly flushAt?: number;
  /** The order in which a flush writes. Default: the order in which entries were added. */
  order?(one: Entry, other: Entry): number;
  /** Work that each flush does first. If it rejects, the flush fails. */
  before?(): Promise<void>;
  write(entries: readonly Entry[]): Promise<void>;
  /**
   * The effect of a rejected write. `drop` counts its entries as dropped, and the flush continues. `retry` ends the
   * flush, and the next one begins with these entries.
   */
  readonly onFailure: 'drop' | 'retry';
  /** Called after each flush; with `failed` if `before` rejected, or a write that will be retried. Must not throw. */
  onFlush?(outcome: 'ok' | 'failed', error?: unknown): void;
  /** Called with dropped entries: beyond the limit, after a failed write, or at the close. Must not throw. */
  onDrop?(entries: readonly Entry[]): void;
}

/**
 * Milliseconds after which a close begins no further write, so that the end of a process does not wait for a silent
 * server.
 */
const CLOSE_MS = 5_000;

export class WriteBehind<Entry> {
  readonly #options: WriteBehindOptions<Entry>;
  #waiting = new Map<unknown, Entry>();
  #dropped = 0;
  #timer: NodeJS.Timeout | undefined;
  #flushing: Promise<void> | undefined;
  #isClosed = false;
  /** The time on the clock of `performance.now` after which no flush and no write begins. */
  #deadline = Number.POSITIVE_INFINITY;

  constructor(options: WriteBehindOptions<Entry>) {
    this.#options = options;
  }

  /** Returns the number of entries that wait. */
  get size(): number {
    return this.#waiting.size;
  }

  /** Returns how many entries were dropped so far: beyond the limit, by failed writes, or by the close. */
  get dropped(): number {
    return this.#dropped;
  }

  /** Returns the waiting entry of a key. */
  find(key: unknown): Entry | undefined {
    return this.#waiting.get(key);
  }

  /**
   * Adds an entry, which replaces a waiting entry of the same key. Returns false if it is dropped because of the limit
   * or the close.
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

  /** Schedules a flush after `flushMs`, even without waiting entries, unless a flush is in progress or scheduled. */
  schedule(): void {
    if (this.#isClosed || this.#flushing) return;
    this.#timer ??= setTimeout(() => {
      this.#timer = undefined;
      void this.#flush();
    }, this.#options.flushMs).unref();
  }

  /** Stops accepting entries and writes the waiting ones. Drops entries that are not written in time. Never rejects. */
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

  /** Writes the entries that wait now. Entries that are added meanwhile wait for the next flush. */
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
          // An entry with this key that was added meanwhile is later, so it is kept.
          this.#waiting = new Map([...taken, ...this.#waiting]);
          throw error;
        }
      }
    }
  }

  /** Returns the waiting keys, in the order of their writes. */
  #keysInOrder(): unknown[] {
    const { order } = this.#options;
    if (!order) return [...this.#waiting.keys()];
    return [...this.#waiting].sort(([, one], [, other]) => order(one, other)).map(([key]) => key);
  }

  /** Removes and returns the entries of these keys. Only a flush removes entries, so all keys are still there. */
  #take(keys: readonly unknown[]): [key: unknown, entry: Entry][] {
    return keys.map((key) => {
      const entry = this.#waiting.get(key) as Entry;
      this.#waiting.delete(key);
      return [key, entry];
    });
  }
}
