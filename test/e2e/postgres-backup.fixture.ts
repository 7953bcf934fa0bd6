/**
 * Physical backups of a test's own Postgres, as the Postgres manual describes them. SQL statements begin and end the
 * backup. The data folder is copied between them, and the log of this time is added.
 */
import { execFile } from 'node:child_process';
import { appendFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import type { Pool } from './counts.fixture.ts';

export interface RestoreOptions {
  /**
   * Without a signal, Postgres starts as after a crash, on the same timeline. With `recovery.signal` it recovers from
   * an archive and begins another timeline. With `standby.signal` it follows a primary.
   */
  readonly signal?: 'recovery.signal' | 'standby.signal';
  /** Settings for postgresql.auto.conf. */
  readonly settings?: Readonly<Record<string, string>>;
}

export interface PostgresBackup {
  /** Replaces the data folder `cluster` by a copy of the backup. The server must have ended. */
  restore(cluster: string, options?: RestoreOptions): Promise<void>;
}

const run = promisify(execFile);

/** @param to a folder that does not exist yet */
export async function takeBackup(pool: Pool, cluster: string, to: string): Promise<PostgresBackup> {
  const session = await pool.connect();
  try {
    await session.query(`select pg_backup_start('a test', fast => true)`);
    await copy(cluster, to);
    const { rows } = await session.query<{ labelfile: string }>(
      'select labelfile from pg_backup_stop(wait_for_archive => false)',
    );
    await rm(join(to, 'pg_wal'), { recursive: true });
    await copy(join(cluster, 'pg_wal'), join(to, 'pg_wal'));
    await writeFile(join(to, 'backup_label'), rows[0]?.labelfile ?? '');
  } finally {
    session.release();
  }
  for (const name of ['postmaster.pid', 'postmaster.opts']) await rm(join(to, name), { force: true });
  return copyOf(to);
}

/** Returns a backup that copies the data folder of a server that has ended. */
export function copyOf(cluster: string): PostgresBackup {
  return { restore: (target, options = {}) => restore(cluster, target, options) };
}

async function restore(from: string, target: string, { signal, settings = {} }: RestoreOptions): Promise<void> {
  await rm(target, { recursive: true, force: true });
  await copy(from, target);
  const lines = Object.entries(settings).map(([name, value]) => `${name} = '${value.replaceAll("'", "''")}'\n`);
  await appendFile(join(target, 'postgresql.auto.conf'), lines.join(''));
  if (signal) await writeFile(join(target, signal), '');
  // Keeps the owner, because Postgres runs under another account than root.
  await run('chown', ['--recursive', `--reference=${join(from, 'PG_VERSION')}`, target]);
}

/** Copies a folder with owners and modes. A file may disappear during the copy, because the log has its content. */
async function copy(from: string, to: string): Promise<void> {
  await run('cp', ['--archive', from, to]).catch((error: { stderr?: string }) => {
    const complaints = String(error.stderr).trim().split('\n');
    if (!complaints.every((line) => line.endsWith('No such file or directory'))) throw error;
  });
}
