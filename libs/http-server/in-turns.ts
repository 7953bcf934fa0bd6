/**
 * Runs queued work in small parts, one in each turn of the event loop. Closing two thousand timed-out connections in
 * one turn would block all answers for a tenth of a second.
 */
import { setImmediate as nextTurn } from 'node:timers/promises';

export interface Turns {
  /** Runs `work` in one of the next turns, in the order of the calls. `work` must not throw. */
  add(work: () => void): void;
}

interface TurnsOptions {
  /**
   * Milliseconds after which no more work is begun in the same turn. Node's own work for closed sockets is not
   * included.
   */
  readonly budgetMs?: number;
  readonly now?: () => number;
}

const BUDGET_MS = 1;

export function createTurns({ budgetMs = BUDGET_MS, now = () => performance.now() }: TurnsOptions = {}): Turns {
  let heap: (() => void)[] = [];
  let isAtWork = false;

  async function workOff(): Promise<void> {
    isAtWork = true;
    while (heap.length > 0) {
      await nextTurn();
      heap = heap.slice(doSome(heap));
    }
    isAtWork = false;
  }

  /** Runs some work. Returns the number of finished entries, at least one. */
  function doSome(works: readonly (() => void)[]): number {
    const until = now() + budgetMs;
    let done = 0;
    for (const work of works) {
      work();
      done++;
      if (now() >= until) break;
    }
    return done;
  }

  return {
    add(work) {
      heap.push(work);
      if (!isAtWork) void workOff();
    },
  };
}
