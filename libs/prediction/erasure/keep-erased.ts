/**
 * Keeps erased users erased, every few seconds and in every worker. The deletes are repeated for an hour, since a
 * concurrent chunk, load or live answer may have written after the first delete. If Redis lost its count of erasures, a
 * round restores the count and repeats the deletes of all erasures above it. The reason is that Redis may hold an old
 * copy of itself, or predictions of users whose readmission was lost in a restore. Several workers may run a round at
 * the same time.
 */
import type { ErasureStore, OnlineErasures } from './erasure.ts';

interface KeepErasedDependencies {
  readonly store: Pick<ErasureStore, 'deleteRows' | 'locations' | 'count' | 'due' | 'sweepAgain' | 'swept'>;
  readonly online: Pick<OnlineErasures, 'forget' | 'told' | 'restore'>;
}

/** The maximum number of users in a round: a few thousand commands for Redis. */
const MAX_SWEPT = 200;

export type KeepErased = ReturnType<typeof createKeepErased>;

export function createKeepErased({ store, online }: KeepErasedDependencies) {
  async function restoreCount(): Promise<void> {
    const [told, there] = await Promise.all([online.told(), store.count()]);
    const counted = told?.history === there.history ? told.count : 0;
    // A count in Redis above Postgres' count includes an erasure that was committed after the query.
    if (told?.history === there.history && counted >= there.count) return;
    // The sweeps are scheduled first, so that they are repeated if a later step fails.
    await store.sweepAgain(counted);
    await online.restore(() => store.count());
  }

  return {
    /**
     * Runs a round, and returns how many erasures were swept. Rejects with `unavailable` if a store does not answer;
     * the next round retries.
     */
    async round(): Promise<number> {
      const due = await store.due(MAX_SWEPT);
      // Rows are deleted even while Redis does not answer.
      if (due.length > 0) await store.deleteRows(due.map(({ number }) => number));
      await restoreCount();
      if (due.length === 0) return 0;
      // Deletes in Redis go by user, not by label. So they are skipped for readmitted users, who keep newer
      // predictions. Their earlier predictions are not served.
      const erased = due.filter(({ isReadmitted }) => !isReadmitted).map(({ userId }) => userId);
      if (erased.length > 0) await online.forget(erased, await store.locations());
      await store.swept(due);
      return due.length;
    },
  };
}
