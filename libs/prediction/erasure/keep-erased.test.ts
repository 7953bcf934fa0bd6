import { describe, expect, it } from 'vitest';
import type { ErasureCount, ErasureStore, OnlineErasures, ToldOfErasures } from './erasure.ts';
import { createKeepErased } from './keep-erased.ts';

const THERE: ErasureCount = { history: 'h', count: 3 };

/** A round, and what it did in order. */
function roundWith(told: ErasureCount | null, due: readonly { number: number; userId: string }[] = []) {
  const done: string[] = [];
  const store: Pick<ErasureStore, 'deleteRows' | 'places' | 'count' | 'due' | 'swept'> = {
    async deleteRows(numbers) {
      done.push(`rows of ${numbers}`);
      return { events: 0, predictions: 0, overlayEntries: 0, runFailures: 0 };
    },
    places: async () => ({ predictors: ['p'], generations: [] }),
    count: async () => THERE,
    due: async () => due,
    swept: async (numbers) => void done.push(`swept ${numbers}`),
  };
  const online: Pick<OnlineErasures, 'forget' | 'told' | 'restore'> = {
    async forget(userIds, { predictors }) {
      done.push(`keys of ${userIds} for ${predictors}`);
      return { predictions: 0, overlayEntries: 0 };
    },
    told: async () => told && ({ ...told, serverId: 's' } satisfies ToldOfErasures),
    async restore(count) {
      done.push(`count ${(await count()).count}`);
      return true;
    },
  };
  return { done, store, online, round: createKeepErased({ store, online }).round };
}

describe('a round that keeps erased users away', () => {
  it('gives Redis its count back where it has none, another history’s, or a lower one', async () => {
    for (const told of [null, { history: 'g', count: 3 }, { history: 'h', count: 2 }]) {
      const { done, round } = roundWith(told);
      expect(await round()).toBe(0);
      expect(done).toEqual(['count 3']);
    }
    for (const told of [THERE, { history: 'h', count: 4 }]) {
      const { done, round } = roundWith(told);
      await round();
      expect(done).toEqual([]);
    }
  });

  it('repeats the deletes that are due, in both stores, before it says so', async () => {
    const { done, round } = roundWith(THERE, [
      { number: 1, userId: 'a' },
      { number: 3, userId: 'b' },
    ]);
    expect(await round()).toBe(2);
    expect(done).toEqual(['rows of 1,3', 'keys of a,b for p', 'swept 1,3']);
  });

  it('leaves what failed in Redis to the next round', async () => {
    const { done, store, online } = roundWith(THERE, [{ number: 1, userId: 'a' }]);
    const forget = () => Promise.reject(new Error('away'));
    await expect(createKeepErased({ store, online: { ...online, forget } }).round()).rejects.toThrow('away');
    expect(done).toEqual(['rows of 1']);
  });
});
