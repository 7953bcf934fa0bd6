interface OneAtATimeOptions {
  /** The maximum number of calls that wait for the running one. */
  readonly mayWait: number;
  /** Returns the error for a call beyond the maximum. */
  refuse(): Error;
}

/** Runs one call at a time, in the order of the calls. By default any number may wait. */
export class OneAtATime {
  readonly #options: OneAtATimeOptions | undefined;
  #last: Promise<unknown> = Promise.resolve();
  #inside = 0;

  constructor(options?: OneAtATimeOptions) {
    this.#options = options;
  }

  /** Returns whether no call runs or waits. */
  get isIdle(): boolean {
    return this.#inside === 0;
  }

  /** Runs the work after all earlier calls have ended, and settles as the work does. */
  async run<T>(work: () => Promise<T>): Promise<T> {
    if (this.#options && this.#inside > this.#options.mayWait) throw this.#options.refuse();
    this.#inside++;
    const mine = this.#last.then(work);
    this.#last = mine.catch(() => undefined);
    return mine.finally(() => {
      this.#inside--;
    });
  }
}
