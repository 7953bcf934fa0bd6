/**
 * The primary's questions to one API process. Each question is asked only once at a time. If the process hangs, the
 * first caller waits a short time and later callers do not wait. Its last answer then counts for a limited time.
 */
import { within } from '@tandem/timing/within';
import type { Question } from './messages.ts';

export type Questions = ReturnType<typeof createQuestions>;

/**
 * Milliseconds from the start of a question after which callers stop waiting. Probes of `/readyz` often time out after
 * 1 s, scrapes after 10 s.
 */
const WAIT_MS: Readonly<Record<Question, number>> = { readiness: 250, exposition: 1_500 };
/**
 * Milliseconds for which an answer may replace a late one. Series are not replaced: those of a process that hangs are
 * left out.
 */
const KEPT_MS: Readonly<Record<Question, number>> = { readiness: 5_000, exposition: 0 };

interface UnderWay extends PromiseWithResolvers<unknown> {
  readonly id: number;
  readonly at: number;
}

/**
 * Creates the questions to one process.
 * @param send sends the question to the process, whose answer must be passed to `receive` with the same id
 */
export function createQuestions(send: (id: number, question: Question) => void) {
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
    /** Returns the answer. If the process is slow, it is the last answer, or null if that is too old. */
    async ask(question: Question): Promise<unknown> {
      const { at, promise } = underWay.get(question) ?? begin(question);
      const left = at + WAIT_MS[question] - performance.now();
      if (left <= 0) return lastAnswer(question);
      const late = new Error('no answer');
      return within(left, promise, () => late).catch(() => lastAnswer(question));
    },
    /** Takes an answer of the process. */
    receive(id: number, answer: unknown): void {
      for (const [question, one] of underWay) {
        if (one.id !== id) continue;
        underWay.delete(question);
        last.set(question, { answer, at: performance.now() });
        one.resolve(answer);
      }
    },
  };
}
