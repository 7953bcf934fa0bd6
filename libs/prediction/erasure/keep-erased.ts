/**
 * Keeps erased users erased, every few seconds and in every worker. The deletes are repeated for a while, since a
 * chunk, a load or a live answer under way may have come after the first delete. If Redis lost its count of erasures, a
 * round restores the count and repeats the deletes of all erasures above it. Redis may hold an old copy of itself, or
 * predictions of users whose readmission was lost in a restore. Several workers may run a round at the same time.
 */
import type { ErasureStore, OnlineErasures } from './erasure.ts';

interface KeepErasedDependencies {
  readonly store: Pick<ErasureStore, 'deleteRows' | 'locations' | 'count' | 'due' | 'sweepAgain' | 'swept'>;
  readonly online: Pick<OnlineErasures, 'forget' | 'told' | 'restore'>;
}

export interface KeepErased {
  /** How many erasures were swept. Rejects `unavailable` if a store does not answer: the next round does it. */
  round(): Promise<number>;
}

/** Users swept in one round: a few thousand commands for Redis. */
const MAX_SWEPT = 200;

export function createKeepErased({ store, online }: KeepErasedDependencies): KeepErased {
  async function restoreCount(): Promise<void> {
    const [told, there] = await Promise.all([online.told(), store.count()]);
    const counted = told?.history === there.history ? told.count : 0;
    // A count above ours is of an erasure that was committed since we asked.
    if (told?.history === there.history && counted >= there.count) return;
    // First, so that it is repeated where the rest fails.
    await store.sweepAgain(counted);
    await online.restore(() => store.count());
  }

  return {
    async round() {
      const due = await store.due(MAX_SWEPT);
      // They are deleted even while Redis does not answer.
      if (due.length > 0) await store.deleteRows(due.map(({ number }) => number));
      await restoreCount();
      if (due.length === 0) return 0;
      // Deletes in Redis go by user, not by label: a readmitted user keeps predictions made since. Earlier predictions
      // are not served.
      const erased = due.filter(({ isReadmitted }) => !isReadmitted).map(({ userId }) => userId);
      if (erased.length > 0) await online.forget(erased, await store.locations());
      await store.swept(due);
      return due.length;
    },
  };
}
