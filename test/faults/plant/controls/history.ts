/** Q1: versions alone, without the history they count in. */
import type { Plant } from '../patch.ts';

export const versionWithoutHistory: Plant = {
  name: 'Q1',
  what: 'an overlay entry fits whatever past of the database its version was counted in',
  patches: [
    {
      file: 'libs/prediction/freshness.ts',
      find: 'return candidate.history === history && candidate.overlayFloor === assignment.overlayFloor;',
      replace: 'return candidate.overlayFloor === assignment.overlayFloor;',
    },
  ],
};
