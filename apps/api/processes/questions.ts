/**
 * The primary's questions to one API process. Each is under way once at a time: a process that hangs costs the first caller
 * a short wait and later callers none. Until it answers again, its last answer counts for a while, then none.
 */
import { within } from '@tandem/timing/within';
import type { Question } from './messages.ts';

export interface Questions {
  /** Returns the answer; the last one if the process is slow, and null if that is too old. */
  ask(question: Question): Promise<unknown>;
  /** Takes an answer of the process. */
  receive(id: number, answer: unknown): void;
}

/** Milliseconds that callers wait for a question, from its start on. A probe of `/readyz` often has 1 s, a scrape 10 s. */
const WAIT_MS: Readonly<Record<Question, number>> = { readiness: 250, exposition: 1_500 };
/** Milliseconds for which an answer counts in place of the next one. Series of a process that hangs are left out instead. */
const KEPT_MS: Readonly<Record<Question, number>> = { readiness: 5_000, exposition: 0 };

interface UnderWay extends PromiseWithResolvers<unknown> {
  readonly id: number;
  readonly at: number;
}

/** @param send sends the question to the process; its answer comes to `receive` with the same id */
export function createQuestions(send: (id: number, question: Question) => void): Questions {
  const underWay = new Map<Question, UnderWay>();
  const last = new Map<Question, { readonly answer: unknown; readonly at: number }>();
  let asked = 0;

  function begin(question: Question): UnderWay {
    const one = { id: ++asked, at: performance.now(), ...Promise.withResolvers<unknown>() };
    underWay.set(question, one);
    send(one.id, question);
    return one;
  }

  function lastAnswer(question: Question): unknown {
    const kept = last.get(question);
    return kept && performance.now() - kept.at < KEPT_MS[question] ? kept.answer : null;
  }

  return {
    async ask(question) {
      const { at, promise } = underWay.get(question) ?? begin(question);
      const left = at + WAIT_MS[question] - performance.now();
      if (left <= 0) return lastAnswer(question);
      const late = new Error('no answer');
      return within(left, promise, () => late).catch(() => lastAnswer(question));
    },
    receive(id, answer) {
      for (const [question, one] of underWay) {
        if (one.id !== id) continue;
        underWay.delete(question);
        last.set(question, { answer, at: performance.now() });
        one.resolve(answer);
      }
    },
  };
}
