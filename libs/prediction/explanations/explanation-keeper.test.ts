import type { Answer } from '@tandem/freshness/answer';
import { answerOf } from '@tandem/freshness/answer.fixture';
import type { FeatureBatch } from '@tandem/freshness/features';
import type { ExplanationsPolicy, ModelVersion, Predictor } from '@tandem/freshness/predictor';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { createExplanationKeeper, isKept, type KeepDependencies } from './explanation-keeper.ts';
import type { ExplanationToKeep, KeptInputs } from './kept-explanation.ts';

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

const answer = (userId: string, more: Partial<Answer> = {}) => answerOf({ userId, ...more });
const predictorOf = (explanations?: ExplanationsPolicy) =>
  ({ name: 'repurchase', keyType: 'int8', policy: { ...(explanations && { explanations }) } }) as Predictor;
const EVERYBODY = predictorOf({ share: 1, keepForMs: 1_000 });
const inputsNow: KeptInputs = {
  ...{ read: 'after_the_reply', readAt: 9, history: 'h', contextVersion: 3, features: [], fault: null },
};
/** Two users; the second has a value from an event. */
const BATCH: FeatureBatch = {
  ...{ history: 'h', readAt: 5, userIds: ['1', '2'], contextVersions: [3, 4], faults: new Map(), unusable: new Map() },
  columns: [
    { name: 'recency', kind: 'number' },
    { name: 'plan', kind: 'string' },
  ],
  values: [Float64Array.of(1.5, -0), ['a', 'b']],
  fromEvents: new Map([[1, [{ column: 1, entry: { value: 'b', accepted: 7, time: 6, source: 's', id: 'e' } }]]]),
};

function createWorld(more: Partial<KeepDependencies> = {}) {
  const kept: ExplanationToKeep[] = [];
  const counts: Record<string, number> = {};
  const reads: (readonly string[])[] = [];
  const answers = createExplanationKeeper({
    store: {
      async keep(some) {
        kept.push(...some);
        return some.map(({ answer }) => `id of ${answer.userId}`);
      },
    },
    inputs: {
      versionOf: async (_, number) => ({ number }) as ModelVersion,
      async readInputs(_, userIds) {
        reads.push(userIds);
        return new Map(userIds.filter((userId) => userId !== 'gone').map((userId) => [userId, inputsNow]));
      },
    },
    counted(_, outcome, some) {
      counts[outcome] = (counts[outcome] ?? 0) + some;
    },
    notKept: () => {},
    now: () => Date.now(),
    ...more,
  });
  return { answers, kept, counts, reads };
}

describe('kept explanations', () => {
  it('include all answers of a share of the users, and none without the setting', async () => {
    const { answers, kept } = createWorld({ maxPerSecond: 5_000, maxWaiting: 5_000 });
    const userIds = Array.from({ length: 2_000 }, (_, i) => `${i}`);
    for (const userId of userIds) answers.notice(answer(userId), predictorOf());
    expect(answers.waiting()).toBe(0);
    for (const userId of userIds) answers.notice(answer(userId), predictorOf({ share: 0.1, keepForMs: 1 }));
    for (const userId of userIds) answers.notice(answer(userId), predictorOf({ share: 0.1, keepForMs: 1 }));
    await answers.close();
    const chosen = new Set(kept.map((one) => one.answer.userId));
    expect([...chosen]).toEqual(userIds.filter((userId) => isKept(0.1, userId)));
    expect(kept.length).toBe(2 * chosen.size);
    expect(chosen.size).toBeGreaterThan(140);
    expect(chosen.size).toBeLessThan(260);
  });

  it('of inferred answers have the model’s own inputs, without another read of features', async () => {
    const { answers, kept, reads } = createWorld();
    answers.notice(answer('2', { source: 'live', inputs: { batch: BATCH, row: 1 } }), EVERYBODY);
    await vi.advanceTimersByTimeAsync(1_000);
    expect(reads).toEqual([]);
    expect(kept).toMatchObject([
      {
        answer: { userId: '2', source: 'live' },
        keepForMs: 1_000,
        inputs: {
          ...{ read: 'for_the_answer', readAt: 5, history: 'h', contextVersion: 4, fault: null },
          features: [
            { name: 'recency', value: -0, event: null },
            { name: 'plan', value: 'b', event: { source: 's', id: 'e', time: 6, accepted: 7 } },
          ],
        },
      },
    ]);
    // Fields that only this process uses are not written.
    expect(Object.keys(kept[0]?.answer ?? {})).not.toContain('inputs');
  });

  it('of stored answers read the inputs again, with one statement for each model version', async () => {
    const { answers, kept, reads } = createWorld();
    for (const userId of ['1', '2', '1', 'gone']) answers.notice(answer(userId), EVERYBODY);
    answers.notice(answer('3', { modelNumber: 9 }), EVERYBODY);
    await vi.advanceTimersByTimeAsync(1_000);
    expect(reads).toEqual([['1', '2', 'gone'], ['3']]);
    expect(kept.map(({ inputs }) => inputs)).toEqual([inputsNow, inputsNow, inputsNow, 'no_row', inputsNow]);
  });

  it('are kept without inputs if these cannot be read', async () => {
    const broken = { versionOf: async () => Promise.reject(new Error('away')), readInputs: async () => new Map() };
    const { answers, kept } = createWorld({ inputs: broken });
    answers.notice(answer('1'), EVERYBODY);
    await vi.advanceTimersByTimeAsync(1_000);
    expect(kept.map(({ inputs }) => inputs)).toEqual(['not_read']);
  });

  it('are limited by the queue and by a rate a second; dropped answers are counted', async () => {
    const { answers, counts } = createWorld({ maxPerSecond: 10, maxWaiting: 4 });
    for (let i = 0; i < 7; i++) answers.notice(answer('1'), EVERYBODY);
    expect([answers.waiting(), counts]).toEqual([4, { over_line: 3 }]);
    await vi.advanceTimersByTimeAsync(100);
    expect([answers.waiting(), counts]).toEqual([0, { over_line: 3, kept: 4 }]);
    // Six of this second's tokens are left, and a tenth of a second has added one.
    for (let i = 0; i < 4; i++) answers.notice(answer('1'), EVERYBODY);
    await vi.advanceTimersByTimeAsync(60);
    for (let i = 0; i < 4; i++) answers.notice(answer('1'), EVERYBODY);
    expect(counts.over_rate).toBe(1);
  });

  it('wait for a slow store, one batch at a time, and are counted if the store fails or omits them', async () => {
    const batches: PromiseWithResolvers<string[]>[] = [];
    const { answers, counts } = createWorld({
      store: {
        keep() {
          const batch = Promise.withResolvers<string[]>();
          batches.push(batch);
          return batch.promise;
        },
      },
    });
    answers.notice(answer('1'), EVERYBODY);
    await vi.advanceTimersByTimeAsync(60);
    answers.notice(answer('1'), EVERYBODY);
    answers.notice(answer('2'), EVERYBODY);
    await vi.advanceTimersByTimeAsync(10_000);
    expect([batches.length, answers.waiting()]).toEqual([1, 2]);
    batches[0]?.reject(new Error('away'));
    await vi.advanceTimersByTimeAsync(60);
    batches[1]?.resolve(['id']);
    await vi.advanceTimersByTimeAsync(60);
    expect([batches.length, counts]).toEqual([2, { failed: 1, kept: 1, left_out: 1 }]);
  });

  it('are kept immediately for any user on request', async () => {
    const { answers, kept, counts } = createWorld({ maxPerSecond: 1, maxWaiting: 0 });
    expect(await answers.keepNow(answer('7', { inputs: { batch: BATCH, row: 0 } }), 500)).toBe('id of 7');
    expect(kept).toMatchObject([{ answer: { userId: '7' }, keepForMs: 500, inputs: { read: 'for_the_answer' } }]);
    expect(counts).toEqual({});
  });

  it('that wait are written at close, and none is accepted afterwards', async () => {
    const { answers, kept, counts } = createWorld();
    answers.notice(answer('1'), EVERYBODY);
    await answers.close();
    answers.notice(answer('2'), EVERYBODY);
    await vi.advanceTimersByTimeAsync(1_000);
    expect(kept.map((one) => one.answer.userId)).toEqual(['1']);
    expect(counts).toEqual({ kept: 1, failed: 1 });
  });

  it('that the store does not write before close are counted as failed', async () => {
    const first = Promise.withResolvers<string[]>();
    const { answers, counts } = createWorld({ store: { keep: () => first.promise } });
    for (let i = 0; i < 49; i++) answers.notice(answer('1'), EVERYBODY);
    await vi.advanceTimersByTimeAsync(60);
    answers.notice(answer('2'), EVERYBODY);
    const closing = answers.close();
    await vi.advanceTimersByTimeAsync(5_000);
    first.resolve(Array.from({ length: 49 }, () => 'id'));
    await closing;
    expect(counts).toEqual({ kept: 49, failed: 1 });
  });
});
