/**
 * Collects the questions of one moment into one statement. The rule that freshness rests on: a question joins only a
 * statement that has not been sent yet, so its answer is from after the question was asked. Up to `maxInFlight`
 * statements are under way at once; the next is sent when a place is free, with all that waits by then.
 *
 * A statement costs more than a question does, so with `patienceMs` what comes while one is under way waits for its end,
 * no longer than that, rather than be sent by itself: the more is asked, the fuller are the statements.
 */
import { createQuestionDeadlines, type Limited, type QuestionLimit } from './question-deadlines.ts';

export interface StatementBatcherOptions<Q, A> {
  /** Asks for all the questions at once. */
  send(questions: readonly Q[]): Promise<A>;
  readonly maxInFlight: number;
  /** At most this many questions in one statement, weighed by `weigh`. */
  readonly maxWeight: number;
  weigh?(question: Q): number;
  /** How long a statement waits for the one before it, though there is a place for both; 0: not at all. */
  readonly patienceMs?: number;
  /** How long a question waits for its answer; for ever where it is not said. */
  readonly limit?: QuestionLimit;
}

interface Waiting<Q, A> extends Limited {
  readonly question: Q;
  readonly onSent: () => void;
  readonly resolve: (answer: A) => void;
}

/** Returns the function to ask with. */
export function createStatementBatcher<Q, A>(options: StatementBatcherOptions<Q, A>) {
  const { send, maxInFlight, maxWeight, weigh = () => 1, patienceMs = 0, limit } = options;
  let waiting: Waiting<Q, A>[] = [];
  const underWay = new Set<readonly Waiting<Q, A>[]>();
  let scheduled = false;
  /** Set while what waits is waiting for the statement under way. */
  let patience: NodeJS.Timeout | undefined;
  const deadlines = limit && createQuestionDeadlines(limit, () => [...underWay, waiting]);

  function take(): Waiting<Q, A>[] {
    let weight = 0;
    let count = 0;
    while (count < waiting.length) {
      weight += weigh((waiting[count] as Waiting<Q, A>).question);
      if (count > 0 && weight > maxWeight) break;
      count++;
    }
    if (count < waiting.length) return waiting.splice(0, count);
    const all = waiting;
    waiting = [];
    return all;
  }

  async function run(batch: readonly Waiting<Q, A>[]): Promise<void> {
    try {
      for (const one of batch) one.onSent();
      const answer = await send(batch.map((one) => one.question));
      for (const one of batch) one.resolve(answer);
    } catch (error) {
      for (const one of batch) one.reject(error);
    } finally {
      underWay.delete(batch);
      flush();
    }
  }

  /** Sends what waits, as far as there are places. */
  function flush(): void {
    scheduled = false;
    clearTimeout(patience);
    patience = undefined;
    while (waiting.length > 0 && underWay.size < maxInFlight) {
      const batch = take();
      underWay.add(batch);
      void run(batch);
    }
  }

  function flushPatiently(): void {
    scheduled = false;
    if (underWay.size === 0 || patienceMs === 0) flush();
    else patience ??= setTimeout(flush, patienceMs);
  }

  return function ask(question: Q, onSent: () => void = nothing): Promise<A> {
    return new Promise<A>((resolve, reject) => {
      waiting.push({ question, onSent, resolve, reject, deadline: deadlines?.next() ?? 0 });
      if (scheduled || patience || underWay.size >= maxInFlight) return;
      scheduled = true;
      // Once per turn of the event loop: requests parsed from the same wake-up share a statement.
      setImmediate(flushPatiently);
    });
  };
}

function nothing(): void {}
