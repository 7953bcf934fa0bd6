/**
 * Ends the wait of readers whose time is over. One ticker checks all readers: a timer for each costs more than a reader's
 * share of a statement. It ticks twenty times within the shortest time that any reader has, and ends the waits that would
 * be over before the next tick. A wait may end up to a twentieth early, and never late.
 */

export interface Timed {
  /** The deadline on the clock of `performance.now`. */
  readonly deadline: number;
  /** Set here: the index among waiting readers; -1 for a reader that does not wait. */
  index: number;
  /** Called once at most, after it was taken out. */
  end(): void;
}

interface ReaderDeadlines {
  /** @param timeoutMs time until its deadline */
  add(reader: Timed, timeoutMs: number): void;
  remove(reader: Timed): void;
}

const LOOKS = 20;

export function createReaderDeadlines(): ReaderDeadlines {
  // In no order: the last reader takes the place of a leaving one.
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
    // From the end: the reader that takes the place of an ended one has been checked already.
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
    add(reader, timeoutMs) {
      reader.index = waiting.push(reader) - 1;
      const wantedMs = Math.max(1, timeoutMs / LOOKS);
      if (wantedMs < tickMs) start(wantedMs);
    },
    remove,
  };
}
