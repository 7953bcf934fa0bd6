/** Faults of the cache's Redis: it loses its data, stops, returns with old data, or is split into two primaries. */
import { setTimeout as pause } from 'node:timers/promises';
import { startReplica } from '../rig/replica.ts';
import type { Stage } from '../rig/session.ts';
import type { NamedFault } from './fault.ts';

const nothing = async () => {};

export const lostCache: readonly NamedFault[] = [
  {
    name: 'cache-flushed',
    what: 'FLUSHALL on the cache',
    expected: "reads are answered from Postgres' rows; workers load the generation again",
    run: ({ rig, fault }) => fault({ name: 'cache flushed' }, { inject: () => rig.cache.flush(), lift: nothing }),
  },
  {
    name: 'cache-killed-empty',
    what: 'kill -9 of the cache, which comes back without data, five times',
    expected: 'the same as after a flush; no reader restarts',
    async run({ rig, fault }) {
      for (let i = 0; i < 5; i++) {
        await fault({ name: 'cache killed and empty' }, { inject: () => rig.cache.restartEmpty(), lift: nothing });
        await pause(1_000);
      }
    },
  },
  {
    name: 'cache-old-snapshot',
    what: 'kill -9 of the cache, which returns with data that are some seconds old',
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
    expected: 'reads are answered from Postgres within their deadline; no read hangs',
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
    name: 'cache-split',
    what: 'a replica of the cache that lacks some seconds of writes is promoted; one API and one worker use it, and the others keep the old primary; then all use the old primary again',
    expected: 'each side sees the writes of the other side late or never, and no stale answer is called fresh',
    run: splitCache,
  },
  {
    name: 'hints-evicted',
    what: 'only the version hints are deleted',
    expected: 'some writes to the overlay are useless; no other effect',
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

const MISSED_MS = 3_000;
const SPLIT_MS = 10_000;

async function splitCache({ rig, fault }: Stage): Promise<void> {
  const replica = await startReplica(rig);
  const going = [...rig.apis.slice(0, 1), ...rig.workers.slice(0, 1)];
  const aim = (url: string) => {
    for (const proxy of rig.proxies('cache', going)) proxy.aim(Number(new URL(url).port));
  };
  try {
    await replica.stopFollowing();
    await pause(MISSED_MS);
    await fault(
      { name: 'the cache split in two' },
      {
        async inject() {
          await replica.promote();
          aim(replica.url);
        },
        hold: () => pause(SPLIT_MS),
        lift: async () => aim(rig.cache.url),
      },
    );
  } finally {
    await replica.close();
  }
}
