interface OneAtATimeOptions {
  /** Works that wait at most behind the one under way. */
  readonly mayWait: number;
  /** Makes the error that a further one is rejected with. */
  refuse(): Error;
}

/** Runs works one after another, and lets a bounded number wait. */
export class OneAtATime {
  readonly #options: OneAtATimeOptions;
  #last: Promise<unknown> = Promise.resolve();
  #inside = 0;

  constructor(options: OneAtATimeOptions) {
    this.#options = options;
  }

  /** Returns whether no work is under way or waits. */
  get isIdle(): boolean {
    return this.#inside === 0;
  }

  /** Resolves and rejects as the work does, which begins when those before it have ended. */
  async run<T>(work: () => Promise<T>): Promise<T> {
    if (this.#inside > this.#options.mayWait) throw this.#options.refuse();
    this.#inside++;
    const mine = this.#last.then(work);
    this.#last = mine.catch(() => undefined);
    return mine.finally(() => {
      this.#inside--;
    });
  }
}
