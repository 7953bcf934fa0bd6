/**
 * A standby that follows the rig's Postgres, falls behind, and replaces it without the commits that it did not receive.
 */
import { copyFile, mkdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { createPool } from '@tandem/offline-store/sql/database';
import type { Pool } from '../../../e2e/counts.fixture.ts';
import { copyOf, takeBackup } from '../../../e2e/postgres-backup.fixture.ts';
import { ownPostgres } from '../../../e2e/servers.fixture.ts';
import { until } from '../../../e2e/until.fixture.ts';
import type { Rig } from './rig.ts';

export interface Standby {
  /** Stops the replication. */
  stopFollowing(): Promise<void>;
  /** Kills the primary, and promotes the standby at the address of the primary. */
  takeOver(): Promise<void>;
  /** Stops the standby and removes its data. */
  close(): Promise<void>;
}

export async function startStandby({ folder, postgres }: Rig): Promise<Standby> {
  const [base, own] = [join(folder, 'base'), join(folder, 'standby')];
  const { port, username, password } = new URL(postgres.url);
  // A separate pool, because the role of the application may not be a superuser.
  const admin: Pool = createPool({ url: postgres.url, max: 1, applicationName: 'admin' });
  const backup = await takeBackup(admin, postgres.cluster, base);
  await mkdir(own, { mode: 0o711 });
  await copyFile(join(folder, 'postgres', 'password'), join(own, 'password'));
  const from = `host=127.0.0.1 port=${port} user=${username} password=${password}`;
  await backup.restore(join(own, 'cluster'), { signal: 'standby.signal', settings: { primary_conninfo: from } });
  const server = await ownPostgres(folder, { name: 'standby' });
  const itsPool: Pool = createPool({ url: server.url, max: 1, applicationName: 'application' });

  async function receives(): Promise<boolean> {
    const { rows } = await itsPool.query('select from pg_stat_wal_receiver');
    return rows.length > 0;
  }

  await until('the standby follows', receives);
  return {
    async stopFollowing() {
      await itsPool.query(`alter system set primary_conninfo = ''`);
      await itsPool.query('select pg_reload_conf()');
      await until('the standby receives nothing more', async () => !(await receives()));
    },
    async takeOver() {
      await postgres.end('SIGQUIT');
      await itsPool.end();
      await server.end('SIGINT');
      await copyOf(server.cluster).restore(postgres.cluster);
      await postgres.start();
      await until('the standby is the primary', () => admin.query('select pg_promote()'));
    },
    async close() {
      await admin.end();
      if (!itsPool.ended) await itsPool.end();
      await server.close();
      for (const path of [base, own]) await rm(path, { recursive: true, force: true });
    },
  };
}
