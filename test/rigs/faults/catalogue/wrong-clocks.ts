/**
 * Faults in which the clock of one program or one store jumps by an hour, and back, while it runs. Only Postgres' clock
 * decides anything, and it decides only expiry and leases.
 */
import { setTimeout as pause } from 'node:timers/promises';
import { until } from '../../../e2e/until.fixture.ts';
import type { Stage } from '../rig/session.ts';
import type { RigServer, StoreName } from '../rig/stores.ts';
import { type NamedFault, NotMet, oneOf } from './fault.ts';

export const HOUR_MS = 3_600_000;
const HELD_MS = 10_000;
const STEP_EVERY_MS = 700;
/** The tolerance of the check that a server's clock has moved by an hour. */
const NEARLY_MS = 60_000;
const MET_WITHIN_MS = 30_000;
const TAKEN_OVER_WITHIN_MS = 60_000;

const WAYS = [
  ['ahead', HOUR_MS],
  ['behind', -HOUR_MS],
] as const;

const ofPrograms: readonly NamedFault[] = (['api', 'worker'] as const).flatMap((kind) =>
  WAYS.map(([way, ms]) => ({
    name: `${kind}-clock-${way}`,
    what: `the clock of one ${kind} is an hour ${way} for ${HELD_MS / 1_000} s`,
    expected: 'no effect',
    run: ({ rig, random, fault }) => {
      const program = oneOf(kind === 'api' ? rig.apis : rig.workers, random);
      return fault(
        { name: `clock of ${program.name} ${way}` },
        {
          inject: async () => program.setClock(ms),
          hold: () => pause(HELD_MS),
          lift: async () => program.setClock(0),
        },
      );
    },
  })),
);

const EXPECTED: Readonly<Record<StoreName, string>> = {
  postgres: 'leases end early or are taken over late, and chunks are done again; no other effect',
  cache: 'keys may expire early; no other effect',
  queue: "locks of jobs may end early or late; runs continue, by Postgres' rows",
};

const ofStores: readonly NamedFault[] = (['postgres', 'cache', 'queue'] as const).flatMap((store) =>
  WAYS.map(([way, ms]) => ({
    name: `${store}-clock-${way}`,
    needs: 'server clocks' as const,
    what: `the clock of ${store} is an hour ${way} for ${HELD_MS / 1_000} s`,
    expected: EXPECTED[store],
    run: ({ rig, fault }) =>
      fault(
        { name: `clock of ${store} ${way}`, ...(store === 'postgres' ? { movesClock: true } : {}) },
        {
          inject: () => moveClock(rig[store], ms),
          hold: () => pause(HELD_MS),
          lift: () => moveClock(rig[store], 0),
        },
      ),
  })),
);

export const wrongClocks: readonly NamedFault[] = [
  ...ofPrograms,
  ...ofStores,
  {
    name: 'postgres-clock-steps',
    needs: 'server clocks',
    what: `Postgres' clock steps ahead and back, by up to an hour, for ${HELD_MS / 1_000} s`,
    expected: 'of two values of events, the one accepted later counts',
    run: stepClock,
  },
  {
    name: 'postgres-clock-set-back',
    needs: 'server clocks',
    what: "a worker is killed while it holds a chunk and Postgres' clock is an hour ahead; then the clock is set right",
    expected: 'another worker takes over the chunk at once, although its lease seems to last another hour',
    run: setBack,
  },
];

/** Moves the server's clock. Rejects if the server's time does not change: the library may not be loaded into it. */
export async function moveClock({ clock, tellTime }: RigServer, aheadMs: number): Promise<void> {
  if (clock === null) throw new Error('its clock cannot be moved here');
  await clock.setClock(aheadMs);
  const off = (await tellTime()) - Date.now() - aheadMs;
  if (Math.abs(off) > NEARLY_MS) throw new Error(`its clock is ${off} ms off, not ${aheadMs} ms ahead`);
}

/** Moves Postgres' clock in steps. A step may come within a second after events of the previous step, or be very small. */
export async function stepClock({ rig, fault, random }: Stage): Promise<void> {
  await fault(
    { name: "Postgres' clock steps", movesClock: true },
    {
      inject: () => moveClock(rig.postgres, HOUR_MS),
      async hold() {
        const end = performance.now() + HELD_MS;
        while (performance.now() < end) {
          const size = 10 ** (2 + random() * Math.log10(HOUR_MS / 100));
          await moveClock(rig.postgres, Math.round(random() < 0.5 ? size : -size));
          await pause(STEP_EVERY_MS);
        }
      },
      lift: () => moveClock(rig.postgres, 0),
    },
  );
}

async function setBack({ rig, fault, random }: Stage): Promise<void> {
  const worker = oneOf(rig.workers, random);
  const starts = worker.starts();
  let isKilled = false;
  await fault(
    { name: "Postgres' clock set back", movesClock: true },
    {
      async inject() {
        await moveClock(rig.postgres, HOUR_MS);
        const armed = worker.failpoints.arm('batch.after_claim', 'kill9');
        isKilled = await armed.whenFired(1, MET_WITHIN_MS).then(
          () => true,
          () => false,
        );
        armed.disarm();
        if (!isKilled) throw new NotMet(`${worker.name} took no chunk within ${MET_WITHIN_MS / 1_000} s`);
      },
      async lift() {
        await moveClock(rig.postgres, 0);
        if (isKilled) await worker.startedAgain(starts);
        await worker.ready();
        await until('its chunk is taken over', () => isTakenOver(rig.pool), TAKEN_OVER_WITHIN_MS);
      },
    },
  );
}

async function isTakenOver(pool: Stage['rig']['pool']): Promise<boolean> {
  const { rows } = await pool.query(`select from tandem.chunks c join tandem.runs r on r.id = c.run_id
    where c.state = 'claimed' and r.state = 'running' and c.lease_until > clock_timestamp() + interval '30 minutes'`);
  return rows.length === 0;
}
