/**
 * The line of questions that wait for a statement. The rule that freshness rests on: a question joins only a statement
 * that has not been sent yet, so its answer is from after the question was asked. Up to `maxInFlight` statements are under
 * way at once; the next is sent when a place is free, with all that waits by then.
 *
 * A statement costs more than a question does, so with `patienceMs` what comes while one is under way waits for its end,
 * no longer than that, rather than be sent by itself: the more is asked, the fuller are the statements.
 */

export interface StatementLineOptions<Q> {
  /** Asks for all the questions at once; its place is free again when it resolves. Never rejects. */
  send(questions: readonly Q[]): Promise<void>;
  readonly maxInFlight: number;
  /** At most this many questions in one statement, weighed by `weigh`. */
  readonly maxWeight: number;
  weigh?(question: Q): number;
  /** How long a statement waits for the one before it, though there is a place for both; 0: not at all. */
  readonly patienceMs?: number;
}

export interface StatementLine<Q> {
  /** Puts a question at the end of the line. */
  add(question: Q): void;
  /** Those not sent yet, in the order in which they came. */
  waiting(): readonly Q[];
}

export function createStatementLine<Q>(options: StatementLineOptions<Q>): StatementLine<Q> {
  const { send, maxInFlight, maxWeight, weigh = () => 1, patienceMs = 0 } = options;
  let waiting: Q[] = [];
  let underWay = 0;
  let scheduled = false;
  /** Set while what waits is waiting for the statement under way. */
  let patience: NodeJS.Timeout | undefined;

  function take(): Q[] {
    let weight = 0;
    let count = 0;
    while (count < waiting.length) {
      weight += weigh(waiting[count] as Q);
      if (count > 0 && weight > maxWeight) break;
      count++;
    }
    if (count < waiting.length) return waiting.splice(0, count);
    const all = waiting;
    waiting = [];
    return all;
  }

  async function run(questions: readonly Q[]): Promise<void> {
    underWay++;
    try {
      await send(questions);
    } finally {
      underWay--;
      flush();
    }
  }

  /** Sends what waits, as far as there are places. */
  function flush(): void {
    scheduled = false;
    clearTimeout(patience);
    patience = undefined;
    while (waiting.length > 0 && underWay < maxInFlight) void run(take());
  }

  function flushPatiently(): void {
    scheduled = false;
    if (underWay === 0 || patienceMs === 0) flush();
    else patience ??= setTimeout(flush, patienceMs);
  }

  return {
    add(question) {
      waiting.push(question);
      if (scheduled || patience || underWay >= maxInFlight) return;
      scheduled = true;
      // Once per turn of the event loop: requests parsed from the same wake-up share a statement.
      setImmediate(flushPatiently);
    },
    waiting: () => waiting,
  };
}
