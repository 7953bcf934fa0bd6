/** The cache's Redis forgets, stops, or remembers what was true long ago. */
import { setTimeout as pause } from 'node:timers/promises';
import type { NamedFault } from './fault.ts';

const nothing = async () => {};

export const lostCache: readonly NamedFault[] = [
  {
    name: 'cache-flushed',
    what: 'FLUSHALL on the cache',
    expected: "Postgres' rows answer; the generation is loaded again by itself",
    run: ({ rig, fault }) => fault({ name: 'cache flushed' }, { inject: () => rig.cache.flush(), lift: nothing }),
  },
  {
    name: 'cache-killed-empty',
    what: 'kill -9 of the cache, which comes back without data, five times',
    expected: 'as after a flush; no reader restarts',
    async run({ rig, fault }) {
      for (let i = 0; i < 5; i++) {
        await fault({ name: 'cache killed and empty' }, { inject: () => rig.cache.restartEmpty(), lift: nothing });
        await pause(1_000);
      }
    },
  },
  {
    name: 'cache-old-snapshot',
    what: 'kill -9 of the cache, which comes back as it was some seconds ago',
    expected: 'labels that are too old are not served as fresh',
    async run({ rig, fault }) {
      await rig.cache.keepCopy();
      await pause(6_000);
      await fault({ name: 'cache back with an old snapshot' }, { inject: () => rig.cache.restartOld(), lift: nothing });
    },
  },
  {
    name: 'cache-stopped',
    what: 'SIGSTOP of the cache for 15 s',
    expected: 'reads go on from Postgres within their deadline; none hangs',
    run: ({ rig, fault }) =>
      fault(
        { name: 'cache stopped' },
        {
          inject: async () => rig.cache.signal('SIGSTOP'),
          hold: () => pause(15_000),
          lift: async () => rig.cache.signal('SIGCONT'),
        },
      ),
  },
  {
    name: 'hints-evicted',
    what: 'the version hints alone are deleted',
    expected: 'nothing but writes that were worth nothing',
    run: ({ rig, fault }) =>
      fault(
        { name: 'hints evicted' },
        {
          inject: () =>
            rig.cache.with(async (redis) => {
              for (const key of await redis.keys('tandem:h:*')) await redis.unlink(key);
            }),
          lift: nothing,
        },
      ),
  },
];
