/**
 * Collects the questions of one moment into one statement (statement-line.ts), each with a promise of its own and a time
 * limit.
 */
import { createQuestionDeadlines, type Limited, type QuestionLimit } from './question-deadlines.ts';
import { createStatementLine, type StatementLineOptions } from './statement-line.ts';

export interface StatementBatcherOptions<Q, A> extends Omit<StatementLineOptions<Q>, 'send'> {
  /** Asks for all the questions at once. */
  send(questions: readonly Q[]): Promise<A>;
  /** How long a question waits for its answer; for ever where it is not said. */
  readonly limit?: QuestionLimit;
}

interface Waiting<Q, A> extends Limited {
  readonly question: Q;
  readonly resolve: (answer: A) => void;
}

/** Returns the function to ask with. */
export function createStatementBatcher<Q, A>(options: StatementBatcherOptions<Q, A>) {
  const { send, weigh = () => 1, limit } = options;
  const underWay = new Set<readonly Waiting<Q, A>[]>();
  const deadlines = limit && createQuestionDeadlines(limit, () => [...underWay, line.waiting()]);
  const line = createStatementLine<Waiting<Q, A>>({ ...options, send: run, weigh: (one) => weigh(one.question) });

  async function run(batch: readonly Waiting<Q, A>[]): Promise<void> {
    underWay.add(batch);
    try {
      const answer = await send(batch.map((one) => one.question));
      for (const one of batch) one.resolve(answer);
    } catch (error) {
      for (const one of batch) one.reject(error);
    } finally {
      underWay.delete(batch);
    }
  }

  return function ask(question: Q): Promise<A> {
    return new Promise<A>((resolve, reject) => {
      line.add({ question, resolve, reject, deadline: deadlines?.next() ?? 0 });
    });
  };
}
