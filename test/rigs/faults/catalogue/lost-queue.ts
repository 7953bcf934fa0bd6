/** Faults of the queue's Redis: it loses its data or stops. Jobs are only hints; Postgres has the runs and chunks. */
import { setTimeout as pause } from 'node:timers/promises';
import type { NamedFault } from './fault.ts';

const nothing = async () => {};

export const lostQueue: readonly NamedFault[] = [
  {
    name: 'queue-flushed',
    what: 'FLUSHALL on the queue in the middle of runs',
    expected: 'every run completes',
    run: ({ rig, fault }) => fault({ name: 'queue flushed' }, { inject: () => rig.queue.flush(), lift: nothing }),
  },
  {
    name: 'queue-killed-empty',
    what: 'kill -9 of the queue, which comes back without data',
    expected: 'workers connect again and every run completes',
    run: ({ rig, fault }) =>
      fault({ name: 'queue killed and empty' }, { inject: () => rig.queue.restartEmpty(), lift: nothing }),
  },
  {
    name: 'queue-away',
    what: 'no connection between the workers and the queue for 20 s',
    expected: 'workers continue without a restart',
    async run({ rig, fault }) {
      const starts = rig.workers.map((worker) => worker.starts());
      const proxies = rig.proxies('queue', rig.workers);
      await fault(
        { name: 'workers cut off from the queue' },
        {
          inject: async () => {
            for (const proxy of proxies) proxy.add({ type: 'timeout', timeout: 0 });
          },
          hold: () => pause(20_000),
          lift: async () => {
            for (const proxy of proxies) await proxy.heal();
          },
        },
      );
      const after = rig.workers.map((worker) => worker.starts());
      if (String(starts) !== String(after)) throw new Error(`workers restarted: ${starts} → ${after} starts`);
    },
  },
];
