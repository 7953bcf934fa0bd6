/**
 * Two Postgres servers at different addresses: a primary, and a standby that streams from it. `url` names both, like
 * DATABASE_URL. After a failover, the other server is the primary.
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
  /** Resolves when the standby has all commits. After that, a commit is acknowledged once the standby has it. */
  synchronise(): Promise<void>;
  /** Resolves when the standby receives nothing more. */
  stopFollowing(): Promise<void>;
  /** Promotes the standby, in any state of the other server. */
  promote(): Promise<void>;
  /** Starts the former primary, which has ended, as a standby with a copy of the new primary's data. */
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
      // A session reads settings before its next statement, so a statement in progress may still commit without the
      // standby.
      await pause(SETTINGS_READ_MS);
      await asAdmin(primary, async (pool) => {
        const { rows } = await pool.query<{ lsn: string }>('select pg_current_wal_flush_lsn()::text as lsn');
        const caughtUp = `select from pg_stat_replication where sync_state = 'sync' and flush_lsn >= '${rows[0]?.lsn}'`;
        await until('the standby has all commits', async () => (await pool.query(caughtUp)).rows.length > 0);
      });
    },
    async stopFollowing() {
      await set(standby, 'primary_conninfo', '');
      await asAdmin(standby, (pool) =>
        until('the standby receives nothing more', async () => {
          const { rows } = await pool.query('select from pg_stat_wal_receiver');
          return rows.length === 0;
        }),
      );
    },
    async promote() {
      // No standby follows the new primary yet, so it must not wait for one.
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
 * Stops every process of the server for ever, as if its machine stopped answering. Stopping only the postmaster would
 * leave two primaries, because its sessions would continue.
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

/** Calls `use` with connections of the superuser to this server. */
async function asAdmin<T>({ url }: OwnPostgres, use: (pool: Pool) => Promise<T>): Promise<T> {
  const pool = createPool({ url, max: 1, applicationName: 'admin' });
  try {
    return await use(pool);
  } finally {
    await pool.end();
  }
}

/** Returns the URL of several servers, with the login and database of the first. */
export function severalServers(urls: readonly string[]): string {
  const [first = ''] = urls;
  if (urls.length === 1) return first;
  const { host } = new URL(first);
  return `${first.replace(host, urls.map((url) => new URL(url).host).join(','))}?target_session_attrs=read-write`;
}
