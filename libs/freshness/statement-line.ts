/**
 * A queue of questions that wait for a statement. Freshness depends on one rule: a question joins only a statement that
 * has not been sent yet, so its answer is from after the question. Up to `maxInFlight` statements run at once; when one
 * has ended, the next is sent with all waiting questions.
 *
 * A statement costs more than a question. So with `patienceMs` a question that arrives while a statement runs waits for
 * its end, but at most that long. The higher the load, the fuller the statements.
 *
 * With `largeFrom`, a small question waits for no large one: large questions have statements of their own, one at a time.
 */

interface StatementLineOptions<Q> {
  /** Sends all the questions at once. The next statement may be sent when the promise resolves. Never rejects. */
  send(questions: readonly Q[]): Promise<void>;
  readonly maxInFlight: number;
  /** The maximum total weight of the questions in one statement, as `weigh` returns it. */
  readonly maxWeight: number;
  weigh?(question: Q): number;
  /** Returns whether no caller waits for the answer any more, so that the question need not be sent. */
  isOver?(question: Q): boolean;
  /** The weight from which a question is large; absent: none is. */
  readonly largeFrom?: number;
  /** How long questions wait for a running statement to end before another statement is sent; 0: they do not wait. */
  readonly patienceMs?: number;
}

export class StatementLine<Q> {
  readonly #options: StatementLineOptions<Q>;
  #waiting: Q[] = [];
  #large: Q[] = [];
  #underWay = 0;
  #isLargeUnderWay = false;
  #isScheduled = false;
  /** The timer while questions wait for the running statement. */
  #patience: NodeJS.Timeout | undefined;

  constructor(options: StatementLineOptions<Q>) {
    this.#options = options;
  }

  /** Adds a question to the end of the queue. */
  add(question: Q): void {
    const { largeFrom = Number.POSITIVE_INFINITY, weigh = () => 1 } = this.#options;
    if (largeFrom < Number.POSITIVE_INFINITY && weigh(question) >= largeFrom) {
      this.#large.push(question);
      if (!this.#isLargeUnderWay) setImmediate(() => this.#flush());
      return;
    }
    this.#waiting.push(question);
    if (this.#isScheduled || this.#patience || this.#underWay >= this.#options.maxInFlight) return;
    this.#isScheduled = true;
    // Flushes once per turn of the event loop, so that requests that were parsed in one turn share a statement.
    setImmediate(() => this.#flushPatiently());
  }

  /** Returns the unsent questions, small and large, each in order of arrival. */
  waiting(): readonly (readonly Q[])[] {
    return [this.#waiting, this.#large];
  }

  #flushPatiently(): void {
    const { patienceMs = 0 } = this.#options;
    this.#isScheduled = false;
    if (this.#underWay === 0 || patienceMs === 0) this.#flush();
    else this.#patience ??= setTimeout(() => this.#flush(), patienceMs);
  }

  /** Sends waiting questions, up to `maxInFlight` statements. */
  #flush(): void {
    this.#isScheduled = false;
    clearTimeout(this.#patience);
    this.#patience = undefined;
    const { maxInFlight } = this.#options;
    while (this.#waiting.length > 0 && this.#underWay < maxInFlight) {
      const { taken, left } = this.#take(this.#waiting);
      this.#waiting = left;
      void this.#run(taken);
    }
    if (this.#large.length === 0 || this.#isLargeUnderWay || this.#underWay >= maxInFlight) return;
    const { taken, left } = this.#take(this.#large);
    this.#large = left;
    this.#isLargeUnderWay = true;
    void this.#run(taken).finally(() => {
      this.#isLargeUnderWay = false;
      this.#flush();
    });
  }

  async #run(questions: readonly Q[]): Promise<void> {
    this.#underWay++;
    try {
      if (questions.length > 0) await this.#options.send(questions);
    } finally {
      this.#underWay--;
      this.#flush();
    }
  }

  #take(all: Q[]): { readonly taken: Q[]; readonly left: Q[] } {
    const { maxWeight, weigh = () => 1, isOver } = this.#options;
    const waiting = isOver?.(all[0] as Q) ? all.filter((question) => !isOver(question)) : all;
    let weight = 0;
    let count = 0;
    while (count < waiting.length) {
      weight += weigh(waiting[count] as Q);
      if (count > 0 && weight > maxWeight) break;
      count++;
    }
    if (count === waiting.length) return { taken: waiting, left: [] };
    return { taken: waiting.splice(0, count), left: waiting };
  }
}

interface StatementBatcherOptions<Q, A> extends Omit<StatementLineOptions<Q>, 'send'> {
  /** Sends all the questions at once. */
  send(questions: readonly Q[]): Promise<A>;
  /** How long a question waits for its answer; absent: without limit. */
  readonly limit?: QuestionLimit;
}

interface QuestionLimit {
  /**
   * Time limit of a question. It is checked ten times within the limit, so a question may end up to a tenth earlier,
   * but never later.
   */
  readonly ms: number;
  /** Creates the error that rejects a question. */
  tooLate(): Error;
}

interface Waiting<Q, A> {
  readonly question: Q;
  readonly resolve: (answer: A) => void;
  readonly reject: (error: unknown) => void;
  /** The time at which the question ends unanswered, on the clock of `performance.now`; 0: never. */
  readonly deadline: number;
  isOver: boolean;
}

/** Collects the questions of one moment into one statement. Returns the function that asks a question. */
export function createStatementBatcher<Q, A>(options: StatementBatcherOptions<Q, A>) {
  const batcher = new StatementBatcher(options);
  return (question: Q): Promise<A> => batcher.ask(question);
}

/** The number of checks within the limit of a question. */
const TICKS = 10;

/**
 * Gives each question its own promise. One timer ends all questions that are not answered in time; a timer for each
 * question would cost more than its share of a statement. All questions have the same limit, unlike live readers
 * (reader-deadlines.ts), so they need not be removed one by one.
 */
class StatementBatcher<Q, A> {
  readonly #send: (questions: readonly Q[]) => Promise<A>;
  readonly #limit: QuestionLimit | undefined;
  readonly #line: StatementLine<Waiting<Q, A>>;
  // Not a Set: its discarded tables refer to the next table, so one in the old generation keeps all that follow.
  readonly #underWay: (readonly Waiting<Q, A>[])[] = [];
  #ticker: NodeJS.Timeout | undefined;

  constructor(options: StatementBatcherOptions<Q, A>) {
    const { send, limit, weigh = () => 1 } = options;
    this.#send = send;
    this.#limit = limit;
    this.#line = new StatementLine<Waiting<Q, A>>({
      ...options,
      send: (batch) => this.#run(batch),
      weigh: ({ question }) => weigh(question),
      isOver: ({ isOver }) => isOver,
    });
  }

  ask(question: Q): Promise<A> {
    return new Promise<A>((resolve, reject) => {
      this.#line.add({ question, resolve, reject, deadline: this.#nextDeadline(), isOver: false });
    });
  }

  async #run(batch: readonly Waiting<Q, A>[]): Promise<void> {
    this.#underWay.push(batch);
    try {
      const answer = await this.#send(batch.map((one) => one.question));
      for (const one of batch) one.resolve(answer);
    } catch (error) {
      for (const one of batch) one.reject(error);
    } finally {
      this.#underWay.splice(this.#underWay.indexOf(batch), 1);
    }
  }

  #nextDeadline(): number {
    const limit = this.#limit;
    if (!limit) return 0;
    this.#ticker ??= setInterval(() => this.#endLate(limit), limit.ms / TICKS);
    return performance.now() + limit.ms;
  }

  #endLate({ ms, tooLate }: QuestionLimit): void {
    // Questions due before the next check end now.
    const due = performance.now() + ms / TICKS;
    let isAnyLeft = false;
    for (const group of [...this.#underWay, ...this.#line.waiting()]) {
      // Questions are in order of arrival, so all questions after the first that is not due are due later, too.
      const open = group.findIndex(({ deadline }) => deadline > due);
      if (open >= 0) isAnyLeft = true;
      for (const one of open < 0 ? group : group.slice(0, open)) {
        one.isOver = true;
        one.reject(tooLate());
      }
    }
    if (isAnyLeft) return;
    clearInterval(this.#ticker);
    this.#ticker = undefined;
  }
}
