/** F1: the version that a queue names becomes the label of features that were read before. */
import type { Plant } from '../patch.ts';

const PLANTED = 'globalThis as unknown as { plantedF1?: Map<string, number> }';

export const relabelledRescoring: Plant = {
  name: 'F1',
  what: 'a re-scoring is labelled with the version that the relay named last when it is complete',
  patches: [
    {
      file: 'libs/prediction/refresh/refresh.ts',
      find: 'for (const { userId, ageMs } of entries) this.#queue.add(userId, ageMs);',
      replace: `const planted = ${PLANTED};
      planted.plantedF1 ??= new Map();
      for (const { userId, version, ageMs } of entries) {
        planted.plantedF1.set(userId, Math.max(version, planted.plantedF1.get(userId) ?? 0));
        this.#queue.add(userId, ageMs);
      }`,
    },
    {
      file: 'libs/prediction/live/run-flights.ts',
      find: 'return dependencies.refreshes ? { ...entry, refreshed: true } : entry;',
      replace: `const told = (${PLANTED}).plantedF1?.get(entry.userId) ?? 0;
    const contextVersion = Math.max(entry.contextVersion, told);
    return dependencies.refreshes ? { ...entry, contextVersion, refreshed: true } : entry;`,
    },
  ],
};
