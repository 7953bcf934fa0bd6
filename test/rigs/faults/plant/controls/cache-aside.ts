/** N4: the usual cache-aside design. An event deletes the user's key; a reader trusts any key that it finds. */
import type { Plant } from '../patch.ts';
import { plainSet } from './plain-set.ts';

export const deleteOnEvent: Plant = {
  name: 'N4',
  what: "an event deletes the user's overlay entry, a live answer is stored by a plain SET, and every stored entry is fresh",
  patches: [
    ...plainSet,
    {
      file: 'libs/freshness/judge.ts',
      find: "if (candidate.contextVersion < user.touched) return 'stale';",
      replace: "if (candidate.layer === 'generation' && candidate.contextVersion < user.touched) return 'stale';",
    },
    {
      file: 'libs/online-store/raise-hint.lua',
      find: "local hint = redis.pcall('GET', KEYS[1])",
      replace: `redis.call('DEL', (string.gsub(KEYS[1], ':h:', ':o:', 1)) .. ':count')
local hint = redis.pcall('GET', KEYS[1])`,
    },
    // This design has no copy of the overlay in Postgres: a deleted entry must not return from there.
    {
      file: 'libs/offline-store/reads/predictions.ts',
      find: 'from tandem.overlay where predictor = $2',
      replace: 'from tandem.overlay where false and predictor = $2',
    },
  ],
};
