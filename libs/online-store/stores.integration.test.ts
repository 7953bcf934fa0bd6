/** Runs the contracts of all stores against the stores of this package. */
import { randomUUID } from 'node:crypto';
import { describeOverlayStore } from '@tandem/testing/overlay-store.contract';
import { describeStoredPredictions } from '@tandem/testing/stored-predictions.contract';
import { inject } from 'vitest';
import { OnlineGenerationLoader } from './generation-loader.ts';
import { createOverlayStore } from './overlay-store.ts';
import { createOnlinePredictions } from './predictions.ts';
import { assignmentOf, connectTo, deleteKeys, HISTORY, randomPrefix } from './redis.fixture.ts';

async function openStores() {
  const { connection } = await connectTo(inject('redisUrl'));
  const prefix = randomPrefix();
  const clear = () => deleteKeys(connection, prefix);
  return {
    connection,
    prefix,
    history: HISTORY,
    overlay: createOverlayStore({ connection, prefix }),
    predictions: createOnlinePredictions({ connection, prefix, log: () => {} }),
    clear,
    async close() {
      await clear();
      connection.close();
    },
  };
}

describeOverlayStore('Redis', async () => ({ ...(await openStores()), assignment: assignmentOf(null) }));

describeStoredPredictions('Redis', async () => {
  const stores = await openStores();
  return {
    ...stores,
    async fill(rows, computedAt) {
      const generation = { id: randomUUID(), buckets: 40, startedAt: computedAt - 1_000, isOutdated: false };
      const loaded = rows.map((row) => ({ ...row, computedAt }));
      await new OnlineGenerationLoader(stores).loadRows(generation, loaded);
      return assignmentOf(generation);
    },
    async fillAbove(below, rows, computedAt) {
      const base = below.generation;
      const above = { id: randomUUID(), buckets: 3, startedAt: base?.startedAt ?? 0, baseId: base?.id ?? null };
      const loader = new OnlineGenerationLoader(stores);
      await loader.loadRows(
        above,
        rows.map((row) => ({ ...row, computedAt })),
      );
      if (!(await loader.completeLoad(above, rows.length))) throw new Error('the generation is not complete');
      return { ...below, generation: { ...above, number: 2, isOutdated: false, base } };
    },
  };
});
