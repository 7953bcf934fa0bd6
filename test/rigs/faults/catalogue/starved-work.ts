/**
 * Faults in which the inputs of scheduling are missing: the relay names no stale users, or the counts of reads are
 * lost.
 */
import { setTimeout as pause } from 'node:timers/promises';
import { COUNT } from '../../../e2e/counts.fixture.ts';
import { until } from '../../../e2e/until.fixture.ts';
import type { Rig } from '../rig/rig.ts';
import type { Stage } from '../rig/session.ts';
import { startRun } from '../rig/start-run.ts';
import { type NamedFault, NotMet } from './fault.ts';

const STOPPED_MS = 15_000;
/** The number of relay attempts that fail: more than the relay makes during the fault. */
const OFTEN = 1_000_000;
const RELAYS_WITHIN_MS = 20_000;
const RUN_WITHIN_MS = 60_000;
const SHARE = 0.1;

export const starvedWork: readonly NamedFault[] = [
  {
    name: 'relay-stopped',
    what: `no worker relays the outbox for ${STOPPED_MS / 1_000} s: no user is re-scored before a read`,
    expected: 'each read after an event is live; the waiting rows are relayed afterwards',
    run: stopRelay,
  },
  {
    name: 'counts-lost',
    what: `the counts of reads are truncated, and a run of ${SHARE * 100} % of the users is started`,
    expected: 'the run scores users who changed, and is done; reads are counted again',
    run: loseCounts,
  },
];

async function stopRelay({ rig, fault }: Stage): Promise<void> {
  await fault(
    { name: 'outbox not relayed' },
    {
      async inject() {
        const order = { times: OFTEN };
        const armed = rig.workers.map(({ failpoints }) => failpoints.arm('outbox.before_raise', 'throw', order));
        await Promise.any(armed.map((one) => one.whenFired(1, RELAYS_WITHIN_MS))).catch(() => {
          throw new NotMet(`no worker had anything to relay within ${RELAYS_WITHIN_MS / 1_000} s`);
        });
      },
      hold: () => pause(STOPPED_MS),
      async lift() {
        for (const { failpoints } of rig.workers) failpoints.disarmAll();
        await untilRelayed(rig);
      },
    },
  );
}

/** Waits until the rows that are now in the outbox are relayed, while the load adds more rows. */
async function untilRelayed({ pool }: Rig): Promise<void> {
  const { rows } = await pool.query<{ now: string }>('select clock_timestamp()::text as now');
  await until(
    'the rows in the outbox are relayed',
    async () => {
      const text = 'select from tandem.outbox where at <= $1::timestamptz limit 1';
      return (await pool.query({ text, values: [rows[0]?.now] })).rows.length === 0;
    },
    RELAYS_WITHIN_MS,
  );
}

async function loseCounts({ rig, fault }: Stage): Promise<void> {
  await fault(
    { name: 'counts of reads lost' },
    {
      inject: async () => void (await rig.pool.query('truncate tandem.read_demand')),
      hold: () => runWithinBudget(rig),
      lift: () =>
        until('reads are counted again', async () => {
          const { rows } = await rig.pool.query('select from tandem.read_demand limit 1');
          return rows.length > 0;
        }).then(() => undefined),
    },
  );
}

/** Resolves once the run is done. */
export async function runWithinBudget(rig: Rig): Promise<void> {
  const wanted = { predictor: COUNT, scope: 'all', budget: { share: SHARE } };
  const { id } = await until('the run is accepted', () => startRun(rig, wanted), RUN_WITHIN_MS);
  const ended = await until(
    'the run ends',
    async () => {
      const text = 'select state, error from tandem.runs where id = $1 and finished_at is not null';
      return (await rig.pool.query<{ state: string; error: string | null }>({ text, values: [id] })).rows[0];
    },
    RUN_WITHIN_MS,
  );
  if (!ended.state.startsWith('done')) throw new Error(`run ${id} is ${ended.state}: ${ended.error}`);
}
