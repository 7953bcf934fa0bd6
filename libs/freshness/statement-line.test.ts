import fc from 'fast-check';
import { describe, expect, it, vi } from 'vitest';
import { createStatementBatcher } from './statement-line.ts';

/**
 * A store in which the test decides when each statement is answered. The answer is the clock at the start of the
 * statement.
 */
function createSlowStore(patienceMs = 0) {
  let clock = 0;
  const pending: { began: number; questions: readonly number[]; answer(): void }[] = [];
  const ask = createStatementBatcher<number, number>({
    maxInFlight: 2,
    maxWeight: 3,
    patienceMs,
    send: (questions) => {
      const began = ++clock;
      return new Promise((resolve) => pending.push({ began, questions, answer: () => resolve(began) }));
    },
  });
  return { ask, pending, tick: () => ++clock };
}

const turn = () => new Promise<void>((resolve) => setImmediate(() => setImmediate(resolve)));

describe('createStatementBatcher', () => {
  it('answers every question from a statement that began after it was asked, in all interleavings', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.constantFrom('ask', 'turn', 'answer', 'answer last'), { maxLength: 40 }),
        fc.constantFrom(0, 1, 1_000),
        async (steps, patienceMs) => {
          const store = createSlowStore(patienceMs);
          const answers: Promise<void>[] = [];
          for (const step of steps) {
            if (step === 'ask') {
              const askedAt = store.tick();
              answers.push(store.ask(answers.length).then((began) => expect(began).toBeGreaterThan(askedAt)));
            } else if (step === 'turn') await turn();
            else (step === 'answer' ? store.pending.shift() : store.pending.pop())?.answer();
          }
          for (let i = 0; i < 60; i++) {
            await turn();
            store.pending.shift()?.answer();
          }
          await Promise.all(answers);
        },
      ),
      { numRuns: 300 },
    );
  });

  it('sends the questions of one turn as one statement, up to the weight limit, and two statements at a time', async () => {
    const store = createSlowStore();
    const answers = Array.from({ length: 8 }, (_, i) => store.ask(i));
    await turn();
    expect(store.pending.map((statement) => statement.questions)).toEqual([
      [0, 1, 2],
      [3, 4, 5],
    ]);
    store.pending.shift()?.answer();
    await turn();
    expect(store.pending.map((statement) => statement.questions)).toEqual([
      [3, 4, 5],
      [6, 7],
    ]);
    for (const statement of store.pending) statement.answer();
    await Promise.all(answers);
  });

  it('lets questions wait for the end of a running statement, at most for patienceMs', async () => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
    try {
      const store = createSlowStore(10);
      const answers = [store.ask(0)];
      await turn();
      answers.push(store.ask(1));
      await turn();
      answers.push(store.ask(2));
      await turn();
      expect(store.pending.map((statement) => statement.questions)).toEqual([[0]]);
      store.pending.shift()?.answer();
      await turn();
      expect(store.pending.map((statement) => statement.questions)).toEqual([[1, 2]]);
      answers.push(store.ask(3));
      await turn();
      vi.advanceTimersByTime(9);
      expect(store.pending).toHaveLength(1);
      vi.advanceTimersByTime(1);
      expect(store.pending.map((statement) => statement.questions)).toEqual([[1, 2], [3]]);
      for (const statement of store.pending) statement.answer();
      await Promise.all(answers);
    } finally {
      vi.useRealTimers();
    }
  });

  it('continues after a statement that failed', async () => {
    const ask = createStatementBatcher<number, string>({
      maxInFlight: 1,
      maxWeight: 10,
      send: ([first]) => (first === 1 ? Promise.reject(new Error('refused')) : Promise.resolve('answered')),
    });
    await expect(ask(1)).rejects.toThrow('refused');
    await expect(ask(2)).resolves.toBe('answered');
  });

  it('ends each question within its limit, sent or still waiting', async () => {
    vi.useFakeTimers();
    try {
      const answers: ((answer: number) => void)[] = [];
      const ask = createStatementBatcher<number, number>({
        maxInFlight: 1,
        maxWeight: 10,
        limit: { ms: 250, tooLate: () => new Error('too late') },
        send: () => new Promise((resolve) => answers.push(resolve)),
      });
      const told: string[] = [];
      const follow = (name: string) =>
        ask(0).then(
          () => told.push(`${name} answered`),
          (error: Error) => told.push(`${name} ${error.message}`),
        );
      void follow('sent');
      await vi.advanceTimersByTimeAsync(100);
      void follow('waiting');
      await vi.advanceTimersByTimeAsync(100);
      expect(told).toEqual([]);
      await vi.advanceTimersByTimeAsync(50);
      expect(told).toEqual(['sent too late']);
      // The late answer is dropped. The waiting statement is sent, with a time limit that begins now.
      answers.shift()?.(1);
      await vi.advanceTimersByTimeAsync(25);
      expect(answers).toHaveLength(1);
      answers.shift()?.(2);
      await vi.advanceTimersByTimeAsync(0);
      expect(told).toEqual(['sent too late', 'waiting answered']);
      void follow('never answered');
      await vi.advanceTimersByTimeAsync(250);
      expect(told.at(-1)).toBe('never answered too late');
      expect(vi.getTimerCount()).toBe(0);
    } finally {
      vi.useRealTimers();
    }
  });

  it('sends large questions apart, one statement at a time, so that small ones do not wait for them', async () => {
    const pending: { readonly questions: readonly number[]; answer(): void }[] = [];
    const ask = createStatementBatcher<number, void>({
      ...{ maxInFlight: 2, maxWeight: 10, largeFrom: 5, weigh: (weight: number) => weight },
      send: (questions) => new Promise((resolve) => pending.push({ questions, answer: resolve })),
    });
    const asked = [6, 1, 4, 5, 5, 2].map((weight) => ask(weight));
    await turn();
    expect(pending.map(({ questions }) => questions)).toEqual([[1, 4, 2], [6]]);
    const [small, large] = pending;
    small?.answer();
    large?.answer();
    await turn();
    expect(pending[2]?.questions).toEqual([5, 5]);
    pending[2]?.answer();
    await Promise.all(asked);
  });
});
