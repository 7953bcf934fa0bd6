/** Faults of a store without free memory or disk space. */
import { setTimeout as pause } from 'node:timers/promises';
import { until } from '../../../e2e/until.fixture.ts';
import type { Stage } from '../rig/session.ts';
import type { RigRedis } from '../rig/stores.ts';
import type { NamedFault } from './fault.ts';

const HELD_MS = 8_000;

export const fullStores: readonly NamedFault[] = [
  {
    name: 'queue-full',
    what: `the queue's Redis rejects writes for ${HELD_MS / 1_000} s: maxmemory, noeviction`,
    expected: 'runs are recorded, and continue when memory is free again',
    run: ({ rig, fault }) => limit(rig.queue, 0, 'queue full', fault),
  },
  {
    name: 'cache-evicting',
    what: `the cache has half of the memory that it needs, for ${HELD_MS / 1_000} s`,
    expected: 'more live inferences; no other effect',
    run: ({ rig, fault }) => limit(rig.cache, 0.5, 'cache evicting', fault),
  },
  {
    name: 'disk-full',
    needs: 'small disk',
    what: `Postgres' disk is full for ${HELD_MS / 1_000} s`,
    expected: 'no failed write is acknowledged; all work continues when space is free again',
    run: fillDisk,
  },
];

/** @param share the new limit, as a share of the memory that Redis uses now; 0: the smallest limit */
function limit(redis: RigRedis, share: number, name: string, fault: Stage['fault']): Promise<void> {
  const allow = (bytes: number) => redis.with((one) => one.config('SET', 'maxmemory', bytes));
  return fault(
    { name },
    {
      async inject() {
        const used = await redis.with((one) => one.info('memory'));
        const bytes = Number(/^used_memory:(\d+)/m.exec(used)?.[1]);
        await allow(Math.max(1, Math.floor(bytes * share)));
      },
      hold: () => pause(HELD_MS),
      lift: async () => void (await allow(0)),
    },
  );
}

async function fillDisk({ rig, fault }: Stage): Promise<void> {
  const { disk, postgres, pool } = rig;
  if (disk === null) throw new Error('Postgres has no separate disk in this session');
  await fault(
    { name: 'disk full' },
    {
      inject: () => disk.fill(),
      // Also fills space that the server frees during the fault.
      async hold() {
        const ends = performance.now() + HELD_MS;
        for (; performance.now() < ends; await pause(200)) await disk.fill();
      },
      async lift() {
        await disk.empty();
        // A server that could not write its log has exited.
        if (!(await isThere(rig))) await postgres.restartImmediately();
        await until('Postgres takes writes again', () => pool.query('update counts set load = load where user_id = 1'));
      },
    },
  );
}

async function isThere({ pool }: Stage['rig']): Promise<boolean> {
  return pool.query('select 1').then(
    () => true,
    () => false,
  );
}
