/** Faults after which Postgres lacks its last commits, whose acknowledgements belong to a lost history. */
import { setTimeout as pause } from 'node:timers/promises';
import { until } from '../../../e2e/until.fixture.ts';
import type { Stage } from '../rig/session.ts';
import { startStandby } from '../rig/standby.ts';
import type { NamedFault } from './fault.ts';
import { HOUR_MS, moveClock } from './wrong-clocks.ts';

const LOST_MS = 4_000;
/** How long the clock of the new primary stays wrong under load. */
const SLOWER_FOR_MS = 10_000;

export const lostHistory: readonly NamedFault[] = [
  {
    name: 'failover-losing-commits',
    what: `Postgres is lost, and a standby is promoted that lacks the commits of the last ${LOST_MS / 1_000} s`,
    expected: 'versions of the lost history prove nothing; tokens of it are refused with 409',
    run: (stage) => failOver(stage),
  },
  {
    name: 'failover-to-slower-clock',
    needs: 'server clocks',
    what: 'the same, and the clock of the new primary is an hour behind',
    expected: 'as after a failover; of two values of events, the one accepted later counts',
    run: (stage) => failOver(stage, -HOUR_MS),
  },
  {
    name: 'restored-backup',
    what: `Postgres is restored from a backup of ${LOST_MS / 1_000} s ago, and its history is rotated, as docs/backup.md says`,
    expected: 'the same as after a failover',
    run: restoreBackup,
  },
];

async function failOver({ rig, fault }: Stage, aheadMs = 0): Promise<void> {
  const standby = await startStandby(rig);
  try {
    await standby.stopFollowing();
    await pause(LOST_MS);
    await fault(
      { name: 'failover to a standby that lagged', losesHistory: true },
      {
        async inject() {
          await standby.takeOver();
          if (aheadMs !== 0) await moveClock(rig.postgres, aheadMs);
        },
        lift: () => untilBack(rig),
      },
    );
    if (aheadMs !== 0) await pause(SLOWER_FOR_MS);
  } finally {
    if (aheadMs !== 0) await moveClock(rig.postgres, 0);
    await standby.close();
  }
}

async function restoreBackup({ rig, fault }: Stage): Promise<void> {
  await fault(
    { name: 'Postgres stopped for a backup' },
    { inject: () => rig.postgres.backUp(), lift: () => untilBack(rig) },
  );
  await pause(LOST_MS);
  await fault(
    { name: 'Postgres restored from a backup', losesHistory: true },
    {
      async inject() {
        await rig.postgres.restore();
        await until('its history is rotated', () => rig.rotateHistory().then(() => true));
      },
      lift: () => untilBack(rig),
    },
  );
}

export async function untilBack({ pool }: Stage['rig']): Promise<void> {
  await until('Postgres takes writes of the application', async () => {
    const { rows } = await pool.query('select where not pg_is_in_recovery()');
    return rows.length > 0;
  });
}
