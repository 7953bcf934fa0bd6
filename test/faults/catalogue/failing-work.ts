/** Parts of a run fail at random, and everything at once. */
import { setTimeout as pause } from 'node:timers/promises';
import { until } from '../../e2e/until.fixture.ts';
import type { NamedFault } from './fault.ts';

const HELD_MS = 10_000;
const OFTEN = 1_000_000;

export const failingWork: readonly NamedFault[] = [
  {
    name: 'half-of-chunks-fail',
    what: `every other chunk fails before it is scored, in both workers, for ${HELD_MS / 1_000} s`,
    expected: 'all are done in the end, by trying again',
    async run({ rig, fault }) {
      await fault(
        { name: 'half of the chunks fail' },
        {
          async inject() {
            for (const { failpoints } of rig.workers) {
              failpoints.arm('batch.after_read', 'throw', { every: 2, times: OFTEN });
            }
          },
          hold: () => pause(HELD_MS),
          async lift() {
            for (const { failpoints } of rig.workers) failpoints.disarmAll();
          },
        },
      );
    },
  },
  {
    name: 'everything-at-once',
    what: 'the cache and the queue are killed and come back empty, Postgres is stopped at once, one API and one worker are killed',
    expected: 'what holds after each of them',
    async run({ rig, fault }) {
      const [api, worker] = [rig.apis[0], rig.workers[0]];
      let back: Promise<unknown> = Promise.resolve();
      await fault(
        { name: 'everything at once' },
        {
          async inject() {
            back = Promise.all([api?.restart('SIGKILL'), worker?.restart('SIGKILL')]);
            const lost = [rig.cache.restartEmpty(), rig.queue.restartEmpty(), rig.postgres.restartImmediately()];
            await Promise.all(lost);
          },
          async lift() {
            await back;
            await until('Postgres answers the application', () => rig.pool.query('select 1'));
          },
        },
      );
    },
  },
];
