/** L1: a fact about a generation is applied to the generation below it. */
import type { Plant } from '../patch.ts';

export const baseAsAbove: Plant = {
  name: 'L1',
  what: 'a row of the base is judged by the source version of the run above it, which has seen bulk changes that the base has not',
  patches: [
    {
      // Without this patch, a run after a bulk change scores all users, and no base is older than its upper generation.
      file: 'libs/offline-store/runs/choose-users.ts',
      find: 'r.source_version < $3 as "isOutdated"',
      replace: '$3::bigint is null as "isOutdated"',
    },
    {
      file: 'libs/freshness/judge.ts',
      find: 'layerOf(generation, candidate.generationId)?.isOutdated === true',
      replace: 'generation?.isOutdated === true',
    },
  ],
};
