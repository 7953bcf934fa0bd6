/**
 * Collects the questions of one moment into one statement. The rule that freshness rests on: a question joins only a
 * statement that has not been sent yet, so its answer is from after the question was asked. Up to `maxInFlight`
 * statements are under way at once; the next is sent when a place is free, with all that waits by then, and no delay.
 */
export interface StatementBatcherOptions<Q, A> {
  /** Asks for all the questions at once. */
  send(questions: readonly Q[]): Promise<A>;
  readonly maxInFlight: number;
  /** At most this many questions in one statement, weighed by `weigh`. */
  readonly maxWeight: number;
  weigh?(question: Q): number;
}

interface Waiting<Q, A> {
  readonly question: Q;
  readonly onSent: () => void;
  readonly resolve: (answer: A) => void;
  readonly reject: (error: unknown) => void;
}

/** Returns the function to ask with. */
export function createStatementBatcher<Q, A>(options: StatementBatcherOptions<Q, A>) {
  const { send, maxInFlight, maxWeight, weigh = () => 1 } = options;
  let waiting: Waiting<Q, A>[] = [];
  let inFlight = 0;
  let scheduled = false;

  function take(): Waiting<Q, A>[] {
    let weight = 0;
    let count = 0;
    while (count < waiting.length) {
      weight += weigh((waiting[count] as Waiting<Q, A>).question);
      if (count > 0 && weight > maxWeight) break;
      count++;
    }
    const taken = waiting.slice(0, count);
    waiting = waiting.slice(count);
    return taken;
  }

  async function run(batch: Waiting<Q, A>[]): Promise<void> {
    try {
      for (const one of batch) one.onSent();
      const answer = await send(batch.map((one) => one.question));
      for (const one of batch) one.resolve(answer);
    } catch (error) {
      for (const one of batch) one.reject(error);
    } finally {
      inFlight--;
      flush();
    }
  }

  function flush(): void {
    scheduled = false;
    while (waiting.length > 0 && inFlight < maxInFlight) {
      inFlight++;
      void run(take());
    }
  }

  return function ask(question: Q, onSent: () => void = () => {}): Promise<A> {
    return new Promise<A>((resolve, reject) => {
      waiting.push({ question, onSent, resolve, reject });
      if (scheduled || inFlight >= maxInFlight) return;
      scheduled = true;
      // Once per turn of the event loop: requests parsed from the same wake-up share a statement.
      setImmediate(flush);
    });
  };
}
