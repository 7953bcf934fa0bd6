/** E1 and E2: readers that ignore tombstones. */
import type { Plant } from '../patch.ts';

export const unverifiedWithoutTombstones: Plant = {
  name: 'E1',
  what: 'while Postgres does not answer, readers trust Redis: they check neither erasures nor whether it is the same server',
  patches: [
    {
      file: 'libs/freshness/unverified-read.ts',
      find: 'if (heard === null || told === null || told.serverId !== serverId) return null;',
      replace: 'return { deletedVersion: () => 0 };',
    },
  ],
};

export const unblocked: Plant = {
  name: 'E2',
  what: 'once a user is readmitted, predictions from before the erasure count again',
  patches: [
    {
      file: 'libs/freshness/judge.ts',
      find: "if (user.deletedVersion > 0 && candidate.contextVersion <= user.deletedVersion) return 'blocked';",
      replace: '',
    },
  ],
};
