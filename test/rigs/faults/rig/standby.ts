/** A standby that follows the rig's Postgres, is left behind, and takes its place without what it had not heard of. */
import { copyFile, mkdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { createPool } from '@tandem/offline-store/sql/database';
import type { Pool } from '../../../e2e/counts.fixture.ts';
import { copyOf, takeBackup } from '../../../e2e/postgres-backup.fixture.ts';
import { ownPostgres } from '../../../e2e/servers.fixture.ts';
import { until } from '../../../e2e/until.fixture.ts';
import type { Rig } from './rig.ts';

export interface Standby {
  /** It hears of nothing from now on. */
  stopFollowing(): Promise<void>;
  /** The primary is lost at once; its address is the standby's from now on, which becomes the primary. */
  takeOver(): Promise<void>;
  /** Ends it, and removes what it had. */
  close(): Promise<void>;
}

export async function startStandby({ folder, postgres }: Rig): Promise<Standby> {
  const [base, own] = [join(folder, 'base'), join(folder, 'standby')];
  const { port, username, password } = new URL(postgres.url);
  // The application's role may be no superuser.
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
      await until('it receives nothing more', async () => !(await receives()));
    },
    async takeOver() {
      await postgres.end('SIGQUIT');
      await itsPool.end();
      await server.end('SIGINT');
      await copyOf(server.cluster).restore(postgres.cluster);
      await postgres.start();
      await until('it is the primary', () => admin.query('select pg_promote()'));
    },
    async close() {
      await admin.end();
      if (!itsPool.ended) await itsPool.end();
      await server.close();
      for (const path of [base, own]) await rm(path, { recursive: true, force: true });
    },
  };
}
