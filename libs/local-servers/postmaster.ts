/** What `postmaster.pid` says about the server of a data folder, and whether that server is alive. */
import { readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { type EndStep, endProcess } from './end-process.ts';
import { LocalServerError } from './local-server-error.ts';
import { type ProcessIdentity, readProcess } from './process-identity.ts';

/** SIGINT is Postgres' fast shutdown: it rolls back what is open and writes a checkpoint. SIGQUIT leaves that to recovery. */
export const postgresShutdown: readonly EndStep[] = [
  { signal: 'SIGINT', waitMs: 15_000 },
  { signal: 'SIGQUIT', waitMs: 5_000 },
  { signal: 'SIGKILL', waitMs: 5_000 },
];

/**
 * True once the server with this process id accepts connections, as a standby those that read; the file's eighth line is
 * what `pg_ctl --wait` reads.
 */
export function isReady(cluster: string, pid: number): boolean {
  const lines = readPidFile(cluster);
  return Number(lines[0]) === pid && ['ready', 'standby'].includes(lines[7]?.trim() ?? '');
}

/** Ends the server that an earlier, killed run left on this folder. Does nothing where there is none. */
export async function endLeftoverPostmaster(cluster: string, log: (line: string) => void): Promise<void> {
  const pid = Number(readPidFile(cluster)[0]);
  const found = readProcess(pid);
  if (found === undefined) return;
  if (!servesFolder(found, cluster)) {
    // The number belongs to another program now. Postgres would take that for a live server, and never start again.
    rmSync(join(cluster, 'postmaster.pid'), { force: true });
    return;
  }
  log(`stopping the Postgres that an earlier run left (process ${pid})`);
  if (await endProcess(found, postgresShutdown)) return;
  const remedy = `Stop it, with more rights if need be: kill -INT ${pid}`;
  throw new LocalServerError('in_use', `${cluster} is served by process ${pid}, which does not stop.`, remedy);
}

/** A postmaster works in its data folder; where another user's folder is not shown, its command line names it. */
function servesFolder({ workingDirectory, command }: ProcessIdentity, cluster: string): boolean {
  return workingDirectory === undefined ? command.includes(`-D ${cluster}`) : workingDirectory === cluster;
}

function readPidFile(cluster: string): string[] {
  try {
    return readFileSync(join(cluster, 'postmaster.pid'), 'utf8').split('\n');
  } catch {
    return [];
  }
}
