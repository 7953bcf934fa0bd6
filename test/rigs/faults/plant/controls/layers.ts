/** L1: what is true of a generation, said of the one below it. */
import type { Plant } from '../patch.ts';

export const baseAsAbove: Plant = {
  name: 'L1',
  what: 'a row of the base is judged by the source version of the run above it, which has seen bulk changes that the base has not',
  patches: [
    {
      file: 'libs/freshness/judge.ts',
      find: 'layerOf(generation, candidate.generationId)?.isOutdated === true',
      replace: 'generation?.isOutdated === true',
    },
  ],
};
