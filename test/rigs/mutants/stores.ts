/** Mutants of `libs/offline-store` (SQL, migrations) and `libs/online-store` (Lua, layout of values). */
import type { OtherMutant } from './mutant.ts';

const area = 'stores';

const CONTROLS: readonly OtherMutant[] = [
  {
    name: 'overlay-plain-set',
    what: 'control N4: an overlay entry is written by a plain SET, without comparison with the stored entry',
    area,
    isControl: true,
    patches: [
      {
        file: 'libs/online-store/put-overlay.lua',
        find: 'elseif is_older(stored, history, model, floor, context, computed) then',
        replace: 'elseif false then',
      },
    ],
    caughtBy: ['libs/online-store/overlay-store.integration.test.ts'],
  },
  {
    name: 'event-values-by-clock',
    what: "control C1: of two event values the one accepted later by Postgres' clock counts, although the clock was set back",
    area,
    isControl: true,
    patches: [
      {
        file: 'migrations/0022_order_of_event_values.sql',
        find: 'elsif last_timed and last_accepted <= accepted and accepted < last_time then return last;',
        replace: 'elsif accepted < last_time then return last;',
      },
    ],
    caughtBy: ['libs/offline-store/events/event-order.integration.test.ts'],
  },
];

const OFFLINE: readonly OtherMutant[] = [
  {
    name: 'claim-without-lease',
    what: "a worker claims a chunk although another worker's lease has not expired",
    area,
    isControl: false,
    patches: [
      {
        file: 'libs/offline-store/runs/chunks.ts',
        find: `(c.state = 'claimed' and \${LEASE_OVER} and c.lost_leases + 1 < $4)`,
        replace: "(c.state = 'claimed' and c.lost_leases + 1 < $4)",
      },
    ],
    caughtBy: ['libs/offline-store/runs/runs.integration.test.ts'],
  },
  {
    name: 'erasure-deletes-later-entries',
    what: 'a repeated erasure also deletes overlay entries computed after the tombstone: a lost condition',
    area,
    isControl: false,
    patches: [
      {
        file: 'libs/offline-store/users/erasures.ts',
        find: '    and o.user_id = t.user_id and o.context_version <= t.deleted_version`;\n',
        replace: '    and o.user_id = t.user_id`;\n',
      },
    ],
    caughtBy: ['libs/offline-store/users/erasures.integration.test.ts'],
  },
  {
    name: 'keys-without-bound',
    what: 'any number of API keys can be created',
    area,
    isControl: false,
    patches: [
      {
        file: 'libs/offline-store/api-keys.ts',
        find: 'where (select count(*) from tandem.api_keys) < $10',
        replace: 'where $10::int > 0',
      },
    ],
    caughtBy: ['libs/offline-store/api-keys.integration.test.ts'],
  },
  {
    name: 'retention-keeps-one-less',
    what: 'retention keeps one generation before the current one, not two: off by one',
    area,
    isControl: false,
    patches: [
      {
        file: 'libs/offline-store/generations/generation-rows.ts',
        find: 'newestFirst.slice(start, start + 1 + BEFORE)',
        replace: 'newestFirst.slice(start, start + BEFORE)',
      },
    ],
    caughtBy: ['libs/offline-store/generations/retired-generations.test.ts'],
  },
];

const ONLINE: readonly OtherMutant[] = [
  {
    name: 'count-skips-first-bucket',
    what: 'users of a loaded generation are counted from the second bucket: off by one',
    area,
    isControl: false,
    patches: [
      {
        file: 'libs/online-store/generation-loader.ts',
        find: 'yield Array.from({ length }, (_, i) => this.#keys.bucket(id, first + i))',
        replace: 'yield Array.from({ length }, (_, i) => this.#keys.bucket(id, first + i + 1))',
      },
    ],
    caughtBy: ['libs/online-store/generation-loader.integration.test.ts'],
  },
  {
    name: 'signed-time-offset',
    what: 'the time of a stored value is read as a signed number, and is wrong from the 25th day of a generation on',
    area,
    isControl: false,
    patches: [
      {
        file: 'libs/online-store/stored-value.ts',
        find: 'bytes.readUInt32LE(at)',
        replace: 'bytes.readInt32LE(at)',
      },
    ],
    caughtBy: ['libs/online-store/stored-value.test.ts'],
  },
];

export const storeMutants: readonly OtherMutant[] = [...CONTROLS, ...OFFLINE, ...ONLINE];
