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
  /** With so many entries a flush begins at once. */
  readonly flushAt?: number;
  /** Order in which a flush writes; absent: as the entries came. */
  order?(one: Entry, other: Entry): number;
  /** Runs first in each flush, which fails where this rejects. */
  before?(): Promise<void>;
  write(entries: readonly Entry[]): Promise<void>;
  /**
   * After a write that rejected: `drop` counts its entries as dropped, and the flush goes on; `retry` ends the flush, and the
   * next one begins with them.
   */
  readonly onFailure: 'drop' | 'retry';
  /** Told of each flush: `failed` where `before` rejected, or a write that is retried. Must not throw. */
  onFlush?(outcome: 'ok' | 'failed', error?: unknown): void;
}

/** A close begins no write after so many ms: the end of a process does not wait for a server that is silent. */
const CLOSE_MS = 5_000;

export class WriteBehind<Entry> {
  readonly #options: WriteBehindOptions<Entry>;
  #waiting = new Map<unknown, Entry>();
  #dropped = 0;
  #timer: NodeJS.Timeout | undefined;
  #flushing: Promise<void> | undefined;
  #isClosed = false;
  /** On the clock of `performance.now`: no write begins after it. */
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
   * Lets an entry wait, in the place of the one of its key. Returns false where it is dropped: there is no room, or the close
   * has begun.
   */
  add(entry: Entry, key: unknown = entry): boolean {
    const { maxWaiting, flushAt } = this.#options;
    if (this.#isClosed || (this.#waiting.size >= maxWaiting && !this.#waiting.has(key))) {
      this.#dropped++;
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
    this.#timer ??= setTimeout(() => void this.#flush(), this.#options.flushMs).unref();
  }

  /** Takes no more, and writes what waits; drops what is not written in time. Never rejects. */
  async close(): Promise<void> {
    this.#isClosed = true;
    this.#deadline = performance.now() + CLOSE_MS;
    await this.#flushing;
    await this.#flush();
    this.#dropped += this.#waiting.size;
    this.#waiting.clear();
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
    const { batch, order, before, write, onFailure } = this.#options;
    await before?.();
    if (order) this.#waiting = new Map([...this.#waiting].sort(([, one], [, other]) => order(one, other)));
    for (let left = this.#waiting.size; left > 0 && performance.now() < this.#deadline; left -= batch) {
      const taken = this.#take(Math.min(left, batch));
      try {
        await write(taken.map(([, entry]) => entry));
      } catch (error) {
        if (onFailure === 'drop') this.#dropped += taken.length;
        else {
          // An entry that came meanwhile keeps its key: it is the later one.
          this.#waiting = new Map([...taken, ...this.#waiting]);
          throw error;
        }
      }
    }
  }

  /** Those that have waited longest, which then wait no more. */
  #take(count: number): [key: unknown, entry: Entry][] {
    const taken: [key: unknown, entry: Entry][] = [];
    for (const one of this.#waiting) {
      if (taken.length === count) break;
      taken.push(one);
      this.#waiting.delete(one[0]);
    }
    return taken;
  }
}
