/** The users whose output moved furthest, of any number of users: a heap with the one that moved least at its top. */
import type { Mover } from './generation-report.ts';
import { rounded } from './tally.ts';

const MOVERS = 20;

export class TopMovers {
  readonly #heap: Mover[] = [];

  /** Whether a user with that delta would be among them: only then its id is worth reading. */
  admits(delta: number): boolean {
    const size = Math.abs(delta);
    return size > 0 && (this.#heap.length < MOVERS || size > sizeOf(this.#heap[0]));
  }

  add(mover: Mover): void {
    if (this.#heap.length < MOVERS) {
      this.#heap.push(mover);
      this.#rise(this.#heap.length - 1);
    } else {
      this.#heap[0] = mover;
      this.#sink();
    }
  }

  /** Furthest first; of the same delta, by user id. */
  movers(): readonly Mover[] {
    return this.#heap
      .toSorted((a, b) => sizeOf(b) - sizeOf(a) || (a.userId < b.userId ? -1 : 1))
      .map(({ userId, ...values }) => ({
        userId,
        before: rounded(values.before),
        now: rounded(values.now),
        delta: rounded(values.delta),
      }));
  }

  #rise(from: number): void {
    for (let at = from; at > 0; ) {
      const parent = (at - 1) >> 1;
      if (!this.#swapIfLess(at, parent)) return;
      at = parent;
    }
  }

  #sink(): void {
    for (let at = 0; ; ) {
      const [left, right] = [2 * at + 1, 2 * at + 2];
      const least = right < this.#heap.length && sizeOf(this.#heap[right]) < sizeOf(this.#heap[left]) ? right : left;
      if (least >= this.#heap.length || !this.#swapIfLess(least, at)) return;
      at = least;
    }
  }

  #swapIfLess(child: number, parent: number): boolean {
    const [lower, upper] = [this.#heap[child], this.#heap[parent]];
    if (!lower || !upper || sizeOf(lower) >= sizeOf(upper)) return false;
    this.#heap[child] = upper;
    this.#heap[parent] = lower;
    return true;
  }
}

function sizeOf(mover: Mover | undefined): number {
  return Math.abs(mover?.delta ?? 0);
}
