import type { HistoryCount, ToldCount } from '@tandem/freshness/certificate';
import { describe, expect, it } from 'vitest';
import type { DueSweep, ErasureStore, OnlineErasures } from './erasure.ts';
import { createKeepErased } from './keep-erased.ts';

const THERE: HistoryCount = { history: 'h', count: 3 };

/** Returns a round, and the record of its actions in order. */
function roundWith(told: HistoryCount | null, due: readonly DueSweep[] = []) {
  const done: string[] = [];
  const store: Pick<ErasureStore, 'deleteRows' | 'locations' | 'count' | 'due' | 'sweepAgain' | 'swept'> = {
    async deleteRows(numbers) {
      done.push(`rows of ${numbers}`);
      return {
        events: 0,
        predictions: 0,
        overlayEntries: 0,
        runFailures: 0,
        outcomes: 0,
        exposures: 0,
        keptExplanations: 0,
        readCounts: 0,
      };
    },
    locations: async () => ({ predictors: ['p'], generations: [] }),
    count: async () => THERE,
    due: async () => due,
    sweepAgain: async (above) => void done.push(`sweeps above ${above}`),
    swept: async (sweeps) => void done.push(`swept ${sweeps.map(({ number }) => number)}`),
  };
  const online: Pick<OnlineErasures, 'forget' | 'told' | 'restore'> = {
    async forget(userIds, { predictors }) {
      done.push(`keys of ${userIds} for ${predictors}`);
      return { predictions: 0, overlayEntries: 0 };
    },
    told: async () => told && ({ ...told, serverId: 's' } satisfies ToldCount),
    async restore(count) {
      done.push(`count ${(await count()).count}`);
      return true;
    },
  };
  return { done, store, online, round: createKeepErased({ store, online }).round };
}

const dueOf = (number: number, userId: string, isReadmitted = false): DueSweep => ({
  ...{ number, userId, isReadmitted },
  sweeps: 0,
});

describe('a round of repeated deletes', () => {
  it('sweeps again the erasures that Redis does not count, and then restores its count', async () => {
    const cases = [
      [null, 0],
      [{ history: 'g', count: 3 }, 0],
      [{ history: 'h', count: 2 }, 2],
    ] as const;
    for (const [told, above] of cases) {
      const { done, round } = roundWith(told);
      expect(await round()).toBe(0);
      expect(done).toEqual([`sweeps above ${above}`, 'count 3']);
    }
    for (const told of [THERE, { history: 'h', count: 4 }]) {
      const { done, round } = roundWith(told);
      await round();
      expect(done).toEqual([]);
    }
  });

  it('repeats the due deletes in both stores before it records them', async () => {
    const { done, round } = roundWith(THERE, [dueOf(1, 'a'), dueOf(3, 'b')]);
    expect(await round()).toBe(2);
    expect(done).toEqual(['rows of 1,3', 'keys of a,b for p', 'swept 1,3']);
  });

  it('leaves deletes that failed in Redis to the next round', async () => {
    const { done, store, online } = roundWith(THERE, [dueOf(1, 'a')]);
    const forget = () => Promise.reject(new Error('away'));
    await expect(createKeepErased({ store, online: { ...online, forget } }).round()).rejects.toThrow('away');
    expect(done).toEqual(['rows of 1']);
  });

  it('deletes rows in Postgres even if Redis does not return its count', async () => {
    const { done, store, online } = roundWith(THERE, [dueOf(1, 'a')]);
    const told = () => Promise.reject(new Error('away'));
    await expect(createKeepErased({ store, online: { ...online, told } }).round()).rejects.toThrow('away');
    expect(done).toEqual(['rows of 1']);
  });

  it('keeps the Redis keys of a readmitted user, since deletes in Redis do not compare labels', async () => {
    const both = roundWith(THERE, [dueOf(1, 'a', true), dueOf(3, 'b')]);
    expect(await both.round()).toBe(2);
    expect(both.done).toEqual(['rows of 1,3', 'keys of b for p', 'swept 1,3']);
    const one = roundWith(THERE, [dueOf(1, 'a', true)]);
    expect(await one.round()).toBe(1);
    expect(one.done).toEqual(['rows of 1', 'swept 1']);
  });
});
