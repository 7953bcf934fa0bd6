/** Postgres comes back without its last commits: what was acknowledged with them is of another past. */
import { setTimeout as pause } from 'node:timers/promises';
import { until } from '../../e2e/until.fixture.ts';
import type { Stage } from '../rig/session.ts';
import { startStandby } from '../rig/standby.ts';
import type { NamedFault } from './fault.ts';

const LOST_MS = 4_000;

export const lostHistory: readonly NamedFault[] = [
  {
    name: 'failover-losing-commits',
    what: `Postgres is lost, and a standby promoted that had heard of nothing for ${LOST_MS / 1_000} s`,
    expected: 'versions of the lost history prove nothing; tokens of it are refused with 409',
    run: failOver,
  },
  {
    name: 'restored-backup',
    what: `Postgres is put back to a backup of ${LOST_MS / 1_000} s ago, and its history rotated as ops are told to`,
    expected: 'as after a failover',
    run: restoreBackup,
  },
];

async function failOver({ rig, fault }: Stage): Promise<void> {
  const standby = await startStandby(rig);
  try {
    await standby.stopFollowing();
    await pause(LOST_MS);
    await fault(
      { name: 'failover to a standby that lagged', losesHistory: true },
      { inject: () => standby.takeOver(), lift: () => untilBack(rig) },
    );
  } finally {
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

async function untilBack({ pool }: Stage['rig']): Promise<void> {
  await until('Postgres takes writes of the application', async () => {
    const { rows } = await pool.query('select where not pg_is_in_recovery()');
    return rows.length > 0;
  });
}
