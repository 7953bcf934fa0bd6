/**
 * Two Postgres servers at addresses of their own: a primary, and a standby that streams from it. `url` names both, as
 * DATABASE_URL does. After a failover the other one is the primary.
 */
import { execFile } from 'node:child_process';
import { copyFile, mkdir, readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { promisify } from 'node:util';
import { createPool } from '@tandem/offline-store/sql/database';
import type { Pool } from './counts.fixture.ts';
import { takeBackup } from './postgres-backup.fixture.ts';
import type { OwnPostgres } from './servers.fixture.ts';
import { until } from './until.fixture.ts';

export interface PostgresPair<T extends OwnPostgres> {
  readonly servers: readonly [T, T];
  primary(): T;
  standby(): T;
  /** From when it resolves on, a commit is acknowledged once the standby has it; the standby has all that was before. */
  synchronise(): Promise<void>;
  /** The standby hears of nothing from when it resolves on. */
  stopFollowing(): Promise<void>;
  /** The standby becomes the primary, whatever became of the other. */
  promote(): Promise<void>;
  /** What was the primary, and has ended, begins again as a standby of the new one, with a copy of its data. */
  followAgain(): Promise<void>;
}

const SETTINGS_READ_MS = 1_000;

/** @param startStandby starts the server of `folder/standby` */
export async function startPair<T extends OwnPostgres>(
  folder: string,
  first: T,
  startStandby: () => Promise<T>,
): Promise<PostgresPair<T>> {
  const own = join(folder, 'standby');
  await mkdir(own, { mode: 0o711 });
  await copyFile(join(folder, 'postgres', 'password'), join(own, 'password'));
  await copyToStandby(folder, first, join(own, 'cluster'));
  const second = await startStandby();
  let [primary, standby] = [first, second];
  await untilFollowed(primary);
  return {
    servers: [first, second],
    primary: () => primary,
    standby: () => standby,
    async synchronise() {
      await set(primary, 'synchronous_standby_names', '*');
      // A session reads its settings again before its next statement: those under way may end without the standby.
      await pause(SETTINGS_READ_MS);
      await asAdmin(primary, async (pool) => {
        const { rows } = await pool.query<{ lsn: string }>('select pg_current_wal_flush_lsn()::text as lsn');
        const caughtUp = `select from pg_stat_replication where sync_state = 'sync' and flush_lsn >= '${rows[0]?.lsn}'`;
        await until('the standby is in step', async () => (await pool.query(caughtUp)).rows.length > 0);
      });
    },
    async stopFollowing() {
      await set(standby, 'primary_conninfo', '');
      await asAdmin(standby, (pool) =>
        until('it receives nothing more', async () => {
          const { rows } = await pool.query('select from pg_stat_wal_receiver');
          return rows.length === 0;
        }),
      );
    },
    async promote() {
      // No standby follows it yet: it must not wait for one.
      await set(standby, 'synchronous_standby_names', '');
      await asAdmin(standby, (pool) => pool.query('select pg_promote()'));
      [primary, standby] = [standby, primary];
    },
    async followAgain() {
      await copyToStandby(folder, primary, standby.cluster);
      await standby.start();
      await untilFollowed(primary);
    },
  };
}

/**
 * The machine of that server falls silent: every process of it stops at any point and never continues. Stopping only
 * the postmaster would leave two primaries, since its sessions would continue.
 */
export async function silence({ cluster, end }: OwnPostgres): Promise<{ end(): Promise<void> }> {
  const [postmaster = ''] = (await readFile(join(cluster, 'postmaster.pid'), 'utf8')).split('\n');
  process.kill(Number(postmaster), 'SIGSTOP');
  const { stdout } = await promisify(execFile)('ps', ['-o', 'pid=', '--ppid', postmaster]);
  const sessions = stdout.split('\n').filter(Boolean).map(Number);
  for (const pid of sessions) process.kill(pid, 'SIGSTOP');
  return {
    async end() {
      for (const pid of sessions) process.kill(pid, 'SIGKILL');
      await end('SIGKILL');
    },
  };
}

async function copyToStandby(folder: string, primary: OwnPostgres, cluster: string): Promise<void> {
  const base = join(folder, 'base');
  const { port, username, password } = new URL(primary.url);
  const primary_conninfo = `host=127.0.0.1 port=${port} user=${username} password=${password}`;
  const backup = await asAdmin(primary, (pool) => takeBackup(pool, primary.cluster, base));
  await backup.restore(cluster, { signal: 'standby.signal', settings: { primary_conninfo } });
  await rm(base, { recursive: true });
}

function untilFollowed(primary: OwnPostgres): Promise<unknown> {
  const streaming = `select from pg_stat_replication where state = 'streaming'`;
  return asAdmin(primary, (pool) =>
    until('the standby follows', async () => (await pool.query(streaming)).rows.length > 0),
  );
}

function set(server: OwnPostgres, name: string, value: string): Promise<unknown> {
  return asAdmin(server, async (pool) => {
    await pool.query(`alter system set ${name} = '${value}'`);
    await pool.query('select pg_reload_conf()');
  });
}

/** As the superuser, at the server itself. */
async function asAdmin<T>({ url }: OwnPostgres, use: (pool: Pool) => Promise<T>): Promise<T> {
  const pool = createPool({ url, max: 1, applicationName: 'admin' });
  try {
    return await use(pool);
  } finally {
    await pool.end();
  }
}

/** The URL of several servers, with the login and database of the first. */
export function severalServers(urls: readonly string[]): string {
  const [first = ''] = urls;
  if (urls.length === 1) return first;
  const { host } = new URL(first);
  return `${first.replace(host, urls.map((url) => new URL(url).host).join(','))}?target_session_attrs=read-write`;
}
