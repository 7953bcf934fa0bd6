/**
 * Does queued work a little in each turn of the event loop. Two thousand connections that time out together and are closed in
 * one turn would block every other answer for a tenth of a second.
 */
import { setImmediate as nextTurn } from 'node:timers/promises';

export interface Turns {
  /** Does it in one of the next turns, in the order of the calls. It must not throw. */
  add(work: () => void): void;
}

interface TurnsOptions {
  /** Milliseconds after which no more is begun in the same turn; what Node does behind a closed socket comes on top. */
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

  /** Gives how many were done, at least one. */
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
