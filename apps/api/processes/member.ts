/**
 * One of several API processes on a port. It obeys the orders of the primary and asks the other processes questions.
 */
import type { Order, Question, Report } from './messages.ts';

/** The IPC channel to the primary; Node's `process` in production. */
interface Channel {
  /** Sends a report; does nothing if the primary has ended. */
  send(report: Report): void;
  onOrder(listener: (order: Order) => void): void;
  /** Ends this process at once. */
  exit(): void;
}

/** The interface of the channel for the rest of an API process. */
export interface Member {
  /** The process's number, from 1 on. A replacement has the number of the process that it replaces. */
  readonly number: number;
  /** Tells the primary that this process listens. */
  started(): void;
  /** Registers a function that answers a question of other processes. */
  answer(question: Question, work: () => Promise<unknown>): void;
  /** Returns the answers of all other processes that listen, with null for a process that did not answer in time. */
  gather(question: Question): Promise<readonly unknown[]>;
  /** Resolves when all connections that the primary sent before have arrived, and it has received all earlier reports. */
  flush(): Promise<unknown>;
  /** Registers a callback for the primary's request to end. */
  onLeave(act: (cause: 'end' | 'restart', reason: string) => void): void;
}

/** Milliseconds; a little longer than the primary waits for the other processes. */
const ANSWERS_WITHIN_MS = 2_000;

export function createMember(number: number, channel: Channel): Member {
  const answers = new Map<Question, () => Promise<unknown>>();
  const waiting = new Map<number, (answers: readonly unknown[]) => void>();
  // The default until the app registers its own callback: nothing is served yet, so the process exits.
  let leave: (cause: 'end' | 'restart', reason: string) => void = () => channel.exit();
  let asked = 0;

  async function answerTo(id: number, question: Question): Promise<void> {
    const answer = await answers
      .get(question)?.()
      .catch(() => null);
    channel.send({ kind: 'answer', id, answer: answer ?? null });
  }

  async function ask(report: (id: number) => Report): Promise<readonly unknown[]> {
    const id = ++asked;
    const { promise, resolve } = Promise.withResolvers<readonly unknown[]>();
    const timer = setTimeout(() => resolve([null]), ANSWERS_WITHIN_MS);
    waiting.set(id, resolve);
    channel.send(report(id));
    try {
      return await promise;
    } finally {
      clearTimeout(timer);
      waiting.delete(id);
    }
  }

  channel.onOrder((order) => {
    switch (order.kind) {
      case 'leave':
        return leave(order.cause, order.reason);
      case 'question':
        return void answerTo(order.id, order.question);
      case 'answers':
        waiting.get(order.id)?.(order.answers);
    }
  });

  return {
    number,
    started: () => channel.send({ kind: 'started' }),
    answer: (question, work) => void answers.set(question, work),
    gather: (question) => ask((id) => ({ kind: 'gather', id, question })),
    flush: () => ask((id) => ({ kind: 'flush', id })),
    onLeave: (act) => {
      leave = act;
    },
  };
}
