/** Parts of a run fail at random, and several servers fail at once. */
import { setTimeout as pause } from 'node:timers/promises';
import { until } from '../../../e2e/until.fixture.ts';
import type { Rig } from '../rig/rig.ts';
import { replaceAll } from './deployments.ts';
import type { NamedFault } from './fault.ts';

const HELD_MS = 10_000;
const OFTEN = 1_000_000;
/** The delay after which only the first program has had the signal. */
const IN_DEPLOY_MS = 1_000;

export const failingWork: readonly NamedFault[] = [
  {
    name: 'half-of-chunks-fail',
    what: `every other chunk fails before it is scored, in both workers, for ${HELD_MS / 1_000} s`,
    expected: 'all chunks are done in the end, by retries',
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
    expected: 'the expectations of each of these faults',
    async run({ rig, fault }) {
      const [api, worker] = [rig.apis[0], rig.workers[0]];
      let back: Promise<unknown> = Promise.resolve();
      await fault(
        { name: 'everything at once' },
        {
          async inject() {
            back = Promise.all([api?.restart('SIGKILL'), worker?.restart('SIGKILL')]);
            await loseStores(rig);
          },
          async lift() {
            await back;
            await until('Postgres answers the application', () => rig.pool.query('select 1'));
          },
        },
      );
    },
  },
  {
    name: 'everything-at-once-in-deploy',
    what: 'while each program is replaced, one after another, the cache and the queue are killed and come back empty, and Postgres is stopped at once',
    expected: 'the expectations of each of these faults',
    async run({ rig, fault }) {
      let deploying = Promise.resolve();
      await fault(
        { name: 'everything at once in a deploy' },
        {
          async inject() {
            deploying = replaceAll(rig);
            // `lift` awaits this promise and reports its error.
            deploying.catch(() => {});
            await pause(IN_DEPLOY_MS);
            await loseStores(rig);
          },
          async lift() {
            await deploying;
            await until('Postgres answers the application', () => rig.pool.query('select 1'));
          },
        },
      );
    },
  },
];

async function loseStores({ cache, queue, postgres }: Rig): Promise<void> {
  await Promise.all([cache.restartEmpty(), queue.restartEmpty(), postgres.restartImmediately()]);
}
