/**
 * Creates the data of the local Postgres: a cluster that is the same on every machine (UTF-8, byte order, UTC,
 * checksums), with one superuser with a password, and one database.
 */
import { chmodSync, existsSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { explainFolderError, LocalServerError } from './local-server-error.ts';
import { type PostgresAccount, runAs } from './postgres-account.ts';
import type { PostgresPrograms } from './postgres-programs.ts';
import { lastLines } from './server-process.ts';

/**
 * The name of the role. It is not `tandem`, since a role's own name is first on its search path, and unqualified tables
 * of the application would be created in the service's schema.
 */
export const SUPERUSER = 'postgres';
export const DATABASE = 'tandem';

interface ClusterPlan {
  /** The folder of the cluster (`cluster/`) and its other files. */
  readonly folder: string;
  readonly programs: PostgresPrograms;
  readonly account: PostgresAccount;
  readonly password: string;
  readonly log: (line: string) => void;
}

/**
 * Creates the cluster if there is none, and returns its folder. Throws `old_data` for a cluster of another major
 * version.
 */
export async function ensureCluster(plan: ClusterPlan): Promise<string> {
  const { folder, programs, log } = plan;
  const cluster = join(folder, 'cluster');
  if (existsSync(cluster)) {
    const version = readFileSync(join(cluster, 'PG_VERSION'), 'utf8').trim();
    if (version === programs.majorVersion) return cluster;
    const problem = `${cluster} was written by Postgres ${version}, but this is Postgres ${programs.majorVersion}.`;
    const remedy = `Move ${folder} away to start with empty data, or install the packages of Postgres ${version}.`;
    throw new LocalServerError('old_data', problem, remedy);
  }
  log('creating the Postgres data folder');
  const unfinished = join(folder, 'cluster.new');
  try {
    await createCluster(plan, unfinished);
    // The rename makes the cluster complete at once. After an earlier kill, the next start deletes the incomplete
    // files.
    renameSync(unfinished, cluster);
  } catch (error) {
    rmSync(unfinished, { recursive: true, force: true });
    throw explainFolderError(folder, error);
  }
  return cluster;
}

async function createCluster({ folder, programs, account, password }: ClusterPlan, target: string): Promise<void> {
  const passwordFile = join(folder, 'initdb-password');
  rmSync(target, { recursive: true, force: true });
  mkdirSync(target, { mode: 0o700 });
  account.own(target);
  rmSync(passwordFile, { force: true });
  writeFileSync(passwordFile, `${password}\n`, { mode: 0o600 });
  chmodSync(passwordFile, 0o600);
  account.own(passwordFile);
  try {
    const locale = localeFlags(programs.majorVersion);
    const access = ['--auth=scram-sha-256', `--username=${SUPERUSER}`, `--pwfile=${passwordFile}`];
    await mustSucceed(
      'initdb',
      runAs(account, programs.initdb, [`--pgdata=${target}`, ...locale, ...access], place(target)),
    );
    const single = ['--single', '-D', target, 'postgres'];
    const input = `create database ${DATABASE}\n`;
    await mustSucceed('create database', runAs(account, programs.postgres, single, { ...place(target), input }));
  } finally {
    rmSync(passwordFile, { force: true });
  }
}

/**
 * Returns the arguments for sorting by code point with UTF-8 letters. From version 17 on, the builtin provider does not
 * depend on the system's locales. Earlier versions use the system's C.UTF-8.
 */
function localeFlags(majorVersion: string): string[] {
  if (Number(majorVersion) < 17) return ['--encoding=UTF8', '--locale=C.UTF-8'];
  return ['--encoding=UTF8', '--locale=C', '--locale-provider=builtin', '--builtin-locale=C.UTF-8'];
}

async function mustSucceed(step: string, running: ReturnType<typeof runAs>): Promise<void> {
  const { code, stdout, stderr } = await running;
  const said = `${stdout}${stderr}`;
  if (code === 0 && !/\b(ERROR|FATAL|PANIC):/.test(said)) return;
  if (/No space left|ENOSPC/.test(said)) {
    throw new LocalServerError('disk_full', `${step}: the disk is full.`, 'Free about 500 MB, then start again.');
  }
  const remedy = 'Fix the cause, then start again.';
  throw new LocalServerError('start_failed', `${step} failed (code ${code}):\n${lastLines(said.trim())}`, remedy);
}

/**
 * Returns the folder and the environment of a Postgres program. Of the caller's environment it gets only PATH, because
 * PG* variables would change its behaviour.
 */
export function place(cluster: string): { cwd: string; env: NodeJS.ProcessEnv } {
  return { cwd: cluster, env: { PATH: process.env.PATH, LC_ALL: 'C', TZ: 'UTC' } };
}
