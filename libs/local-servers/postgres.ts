/**
 * Starts a real Postgres for development and tests, with the programs that npm installed or those of a given folder. No
 * setup is needed. Data survive restarts, commits are durable (fsync on), and only this machine can reach the server.
 *
 * Files in its folder: `cluster/` (the data), `password`, `port`, `server.log`.
 */
import { readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { diskFull, explainFolderError, LocalServerError } from './local-server-error.ts';
import { choosePort, portTaken, rememberPort } from './ports.ts';
import { choosePostgresAccount, type PostgresAccount } from './postgres-account.ts';
import { DATABASE, ensureCluster, place, SUPERUSER } from './postgres-cluster.ts';
import { findPostgresPrograms, type PostgresPrograms } from './postgres-programs.ts';
import {
  type EndStep,
  endProcess,
  type ProcessIdentity,
  readOrUndefined,
  readProcess,
  waitUntil,
} from './process-identity.ts';
import { readOrCreateSecret } from './secret-file.ts';
import {
  type LocalServer,
  lastLines,
  prepareFolder,
  type ServerProcess,
  startServerProcess,
} from './server-process.ts';

interface PostgresOptions {
  /** The folder of the server, which is created if it is missing. A folder has one server. */
  readonly dataDir: string;
  /** The port. Default: the port of the last start, or a free one. */
  readonly port?: number;
  /** The folder of `postgres` and `initdb`. Default: the programs that npm installed. */
  readonly binDir?: string | undefined;
  /** Further environment variables of the server's process. */
  readonly environment?: Readonly<Record<string, string>>;
  readonly log: (line: string) => void;
}

/** The time that the children of a crashed server need to release its memory. */
const RETRY_FOR_MS = 10_000;
const RETRY_EVERY_MS = 150;
/** The time limit of a start. Recovery after a crash replays up to `max_wal_size`, which takes long on a slow disk. */
const READY_WITHIN_MS = 120_000;

interface Plan extends PostgresOptions {
  readonly folder: string;
  readonly cluster: string;
  readonly programs: PostgresPrograms;
  readonly account: PostgresAccount;
}

/**
 * Starts the server of a folder, after it has ended a server that a killed run left there. Throws `LocalServerError`.
 */
export function startPostgres(options: PostgresOptions): Promise<LocalServer> {
  return start(options).catch((error: unknown) => {
    throw explainFolderError(options.dataDir, error);
  });
}

async function start(options: PostgresOptions): Promise<LocalServer> {
  const { dataDir, binDir, log } = options;
  const programs = await findPostgresPrograms(binDir);
  // Other users may traverse the folder but not list it: Postgres' account must reach `cluster/`, which only that
  // account can open.
  const folder = prepareFolder(dataDir, 0o711);
  const account = await choosePostgresAccount({ programs, folder, log });
  const password = readOrCreateSecret(join(folder, 'password'));
  const cluster = await ensureCluster({ folder, programs, account, password, log });
  await endLeftoverPostmaster(cluster, log);
  const { server, port } = await startUntilReady({ ...options, folder, cluster, programs, account });
  return {
    url: `postgres://${SUPERUSER}:${password}@127.0.0.1:${port}/${DATABASE}`,
    port,
    pid: server.pid,
    exited: server.exited,
    stop: () => server.end(postgresShutdown),
  };
}

async function startUntilReady(plan: Plan): Promise<{ server: ServerProcess; port: number }> {
  const { folder, cluster, port: requested, log } = plan;
  const deadline = performance.now() + RETRY_FOR_MS;
  for (;;) {
    const portFile = join(folder, 'port');
    const port = await choosePort({ server: 'Postgres', requested, rememberIn: portFile, log });
    const server = spawnPostmaster(plan, port);
    await waitUntil(() => server.hasExited() || isReady(cluster, server.pid), READY_WITHIN_MS);
    if (!server.hasExited() && isReady(cluster, server.pid)) {
      rememberPort(portFile, port);
      return { server, port };
    }
    const failure = await explainFailure(server, plan, port);
    const passing = failure.code === 'in_use' || (failure.code === 'port_taken' && requested === undefined);
    if (!passing || performance.now() > deadline) throw failure;
    await sleep(RETRY_EVERY_MS);
  }
}

function spawnPostmaster(plan: Plan, port: number): ServerProcess {
  const { folder, cluster, programs, account, environment } = plan;
  const settings = {
    port: String(port),
    listen_addresses: '127.0.0.1',
    // A socket's path may have at most 107 bytes, so the path of a deep folder would be too long.
    unix_socket_directories: '',
    max_connections: '300',
    fsync: 'on',
    synchronous_commit: 'on',
    full_page_writes: 'on',
    timezone: 'UTC',
    log_timezone: 'UTC',
    lc_messages: 'C',
  };
  const flags = Object.entries(settings).flatMap(([name, value]) => ['-c', `${name}=${value}`]);
  const [program = programs.postgres, ...args] = [...account.prefix, programs.postgres, '-D', cluster, ...flags];
  const { uid, gid } = account;
  // Root enters the folder before it switches to Postgres' account, so the account needs no rights on parent folders.
  const { cwd, env } = place(cluster);
  const outputFile = join(folder, 'server.log');
  return startServerProcess({ program, args, cwd, env: { ...env, ...environment }, uid, gid, outputFile });
}

async function explainFailure(server: ServerProcess, { folder, log }: Plan, port: number): Promise<LocalServerError> {
  if (!server.hasExited()) {
    await server.end(postgresShutdown);
    const problem = `Postgres did not become ready in ${READY_WITHIN_MS / 1000} s.`;
    return new LocalServerError('start_failed', problem, `See ${join(folder, 'server.log')}.`);
  }
  const said = server.readOutput();
  if (/lock file "postmaster\.pid" already exists|pre-existing shared memory block/.test(said)) {
    log('an earlier Postgres process still uses the data directory: retrying');
    const remedy = 'Stop the Postgres processes that still use it, then start again.';
    return new LocalServerError('in_use', `${folder} is still in use:\n${lastLines(said)}`, remedy);
  }
  if (/Address already in use|could not bind/.test(said)) return portTaken('Postgres', port);
  if (/No space left on device/.test(said)) return diskFull(folder);
  const problem = `Postgres ended during its start (${await server.exited}):\n${lastLines(said)}`;
  return new LocalServerError('start_failed', problem, `See the whole log: ${join(folder, 'server.log')}.`);
}

// Reads `postmaster.pid`, which describes the server of a data folder, and checks whether that server is alive.

/**
 * The signals that stop Postgres. SIGINT is its fast shutdown, which rolls back open transactions and writes a
 * checkpoint. After SIGQUIT, the next start recovers.
 */
const postgresShutdown: readonly EndStep[] = [
  { signal: 'SIGINT', waitMs: 15_000 },
  { signal: 'SIGQUIT', waitMs: 5_000 },
  { signal: 'SIGKILL', waitMs: 5_000 },
];

/**
 * Returns whether the server with this process id accepts connections (a standby: read-only connections). Like `pg_ctl
 * --wait`, it reads the eighth line of the file.
 */
function isReady(cluster: string, pid: number): boolean {
  const lines = readPidFile(cluster);
  return Number(lines[0]) === pid && ['ready', 'standby'].includes(lines[7]?.trim() ?? '');
}

/** Ends a server that an earlier, killed run left on this folder, if there is one. */
async function endLeftoverPostmaster(cluster: string, log: (line: string) => void): Promise<void> {
  const pid = Number(readPidFile(cluster)[0]);
  const found = readProcess(pid);
  if (found === undefined) return;
  if (!servesFolder(found, cluster)) {
    // The process id belongs to another program now. Postgres would consider it a live server, and never start.
    rmSync(join(cluster, 'postmaster.pid'), { force: true });
    return;
  }
  log(`stopping the Postgres that an earlier run left (process ${pid})`);
  if (await endProcess(found, postgresShutdown)) return;
  const remedy = `Stop it, if necessary with more rights: kill -INT ${pid}`;
  throw new LocalServerError('in_use', `${cluster} is served by process ${pid}, which does not stop.`, remedy);
}

/**
 * Returns whether a process is the postmaster of this folder. It works in its data folder. If the system does not show
 * another user's folder, its command line names it.
 */
function servesFolder({ workingDirectory, command }: ProcessIdentity, cluster: string): boolean {
  return workingDirectory === undefined ? command.includes(`-D ${cluster}`) : workingDirectory === cluster;
}

function readPidFile(cluster: string): string[] {
  return readOrUndefined(() => readFileSync(join(cluster, 'postmaster.pid'), 'utf8').split('\n')) ?? [];
}
