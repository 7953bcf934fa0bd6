/**
 * Physical backups of a test's own Postgres, as its manual describes them: the backup is begun and ended in SQL, and the
 * folder of data copied in between; the log of the time in between belongs to it.
 */
import { execFile } from 'node:child_process';
import { appendFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import type { Pool } from './counts.fixture.ts';

export interface RestoreOptions {
  /**
   * Left out: started as after a crash, on the timeline that it was on. With `recovery.signal` Postgres recovers from an
   * archive and begins another timeline; with `standby.signal` it follows a primary.
   */
  readonly signal?: 'recovery.signal' | 'standby.signal';
  /** Of postgresql.auto.conf. */
  readonly settings?: Readonly<Record<string, string>>;
}

export interface PostgresBackup {
  /** Puts a copy of it where that cluster is, whose server has ended. */
  restore(cluster: string, options?: RestoreOptions): Promise<void>;
}

const run = promisify(execFile);

/** @param to a folder that is not there yet */
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

/** A folder of data whose server has ended, as a backup of itself. */
export function copyOf(cluster: string): PostgresBackup {
  return { restore: (target, options = {}) => restore(cluster, target, options) };
}

async function restore(from: string, target: string, { signal, settings = {} }: RestoreOptions): Promise<void> {
  await rm(target, { recursive: true, force: true });
  await copy(from, target);
  const lines = Object.entries(settings).map(([name, value]) => `${name} = '${value.replaceAll("'", "''")}'\n`);
  await appendFile(join(target, 'postgresql.auto.conf'), lines.join(''));
  if (signal) await writeFile(join(target, signal), '');
  // The owner of the folder: root lends Postgres another account.
  await run('chown', ['--recursive', `--reference=${join(from, 'PG_VERSION')}`, target]);
}

/** With owners and modes. A file that goes meanwhile is not missed: the log has what it held. */
async function copy(from: string, to: string): Promise<void> {
  await run('cp', ['--archive', from, to]).catch((error: { stderr?: string }) => {
    const complaints = String(error.stderr).trim().split('\n');
    if (!complaints.every((line) => line.endsWith('No such file or directory'))) throw error;
  });
}
