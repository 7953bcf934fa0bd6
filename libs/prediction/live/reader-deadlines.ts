/**
 * Ends the wait of readers at their deadlines. One ticker checks all readers: a timer for each would cost more than a
 * reader's share of a statement. It ticks twenty times within the shortest time limit of the waiting readers, and ends
 * the waits with a deadline before the next tick. A wait may end up to a twentieth early, but never late.
 */

export interface Timed {
  /** The deadline on the clock of `performance.now`. */
  readonly deadline: number;
  /** The index among the waiting readers, set in this file; -1 for a reader that does not wait. */
  index: number;
  /** Called at most once, after the reader was removed. */
  end(): void;
}

const LOOKS = 20;

export function createReaderDeadlines() {
  // The readers have no order: the last reader takes the place of a removed reader.
  const waiting: Timed[] = [];
  let ticker: NodeJS.Timeout | undefined;
  let tickMs = Number.POSITIVE_INFINITY;

  function start(ms: number): void {
    clearInterval(ticker);
    tickMs = ms;
    ticker = setInterval(tick, ms);
  }

  function tick(): void {
    const due = performance.now() + tickMs;
    // The loop runs backwards, so the reader that takes the place of an ended reader has already been checked.
    for (let i = waiting.length - 1; i >= 0; i--) {
      const reader = waiting[i];
      if (!reader || reader.deadline > due) continue;
      remove(reader);
      reader.end();
    }
    if (waiting.length > 0) return;
    clearInterval(ticker);
    ticker = undefined;
    tickMs = Number.POSITIVE_INFINITY;
  }

  function remove(reader: Timed): void {
    const { index } = reader;
    if (index < 0) return;
    reader.index = -1;
    const last = waiting.pop();
    if (!last || last === reader) return;
    waiting[index] = last;
    last.index = index;
  }

  return {
    /**
     * Adds a reader, whose wait ends at its deadline.
     * @param timeoutMs the time until the reader's deadline
     */
    add(reader: Timed, timeoutMs: number): void {
      reader.index = waiting.push(reader) - 1;
      const wantedMs = Math.max(1, timeoutMs / LOOKS);
      if (wantedMs < tickMs) start(wantedMs);
    },
    remove,
  };
}
