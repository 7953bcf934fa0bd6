/** Lets work begin in order, a few at once, so that a lot of work of one kind leaves the event loop to other work. */
export class Turnstile {
  readonly #atOnce: () => number;
  readonly #turnMs: number;
  readonly #waiting: (() => void)[] = [];
  #inside = 0;

  /**
   * @param atOnce returns how much work may run at once
   * @param turnMs the milliseconds after which work that has not ended keeps no other work waiting
   */
  constructor(atOnce: () => number, turnMs: number) {
    this.#atOnce = atOnce;
    this.#turnMs = turnMs;
  }

  /** Begins the work in its turn. Resolves or rejects as the work does. */
  async pass<T>(work: () => Promise<T>): Promise<T> {
    if (this.#waiting.length === 0 && this.#inside < this.#atOnce()) this.#inside++;
    else await new Promise<void>((resolve) => this.#waiting.push(resolve));
    let isInside = true;
    const leave = () => {
      if (isInside) this.#leave();
      isInside = false;
    };
    const timer = setTimeout(leave, this.#turnMs);
    try {
      return await work();
    } finally {
      clearTimeout(timer);
      leave();
    }
  }

  /** Gives free places to the next work, in a later turn of the event loop, after other callbacks that are due. */
  #leave(): void {
    this.#inside--;
    while (this.#inside < this.#atOnce()) {
      const next = this.#waiting.shift();
      if (!next) return;
      this.#inside++;
      setImmediate(next);
    }
  }
}
