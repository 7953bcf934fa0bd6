/**
 * Starts a real Redis for development and tests, found or installed by `redis-find.ts`. Data survive restarts. Only
 * this machine can reach the server, with a password.
 *
 * Files in its folder: `redis.conf` and `password` (mode 0600), `port`, `server.json` (the process), `server.log`,
 * `appendonlydir/` (the data).
 */
import { rmSync } from 'node:fs';
import { connect } from 'node:net';
import { dirname, join } from 'node:path';
import { diskFull, explainFolderError, LocalServerError } from './local-server-error.ts';
import { choosePort, portTaken, readRememberedPort, rememberPort } from './ports.ts';
import { type EndStep, endProcess, isRunning, readRecord, waitUntil, writeWhole } from './process-identity.ts';
import { findRedis } from './redis-find.ts';
import { type RedisLaunch, renderRedisSettings } from './redis-launch.ts';
import { readOrCreateSecret } from './secret-file.ts';
import {
  type LocalServer,
  lastLines,
  prepareFolder,
  type ServerProcess,
  startServerProcess,
} from './server-process.ts';

interface RedisOptions {
  /** The folder of the server, which is created if it is missing. A folder has one server. */
  readonly dataDir: string;
  /**
   * The folder in which a server is unpacked if the machine has none. Default: `redis-server` next to the data folder.
   */
  readonly serverDir?: string;
  /** The port. Default: the port of the last start, or a free one. */
  readonly port?: number;
  /** Folders of programs. Default: PATH of the environment. */
  readonly path?: string | undefined;
  /** Further environment variables of the server's process. A container does not get them. */
  readonly environment?: Readonly<Record<string, string>>;
  readonly log: (line: string) => void;
}

/** The signals that stop Redis. SIGTERM flushes the append-only file and ends the server. */
const redisShutdown: readonly EndStep[] = [
  { signal: 'SIGTERM', waitMs: 10_000 },
  { signal: 'SIGKILL', waitMs: 5_000 },
];
/** The time limit of a start, which allows for loading a large append-only file or pulling a container image. */
const READY_WITHIN_MS = 180_000;
const LEFTOVER_ENDS_WITHIN_MS = 10_000;
const ATTEMPTS = 5;

interface Plan extends RedisOptions {
  readonly folder: string;
  readonly password: string;
  readonly launch: RedisLaunch;
}

/**
 * Starts the server of a folder, after it has ended a server that a killed run left there. Throws `LocalServerError`.
 */
export function startRedis(options: RedisOptions): Promise<LocalServer> {
  return start(options).catch((error: unknown) => {
    throw explainFolderError(options.dataDir, error);
  });
}

async function start(options: RedisOptions): Promise<LocalServer> {
  const { dataDir, log, path = process.env.PATH } = options;
  const folder = prepareFolder(dataDir, 0o700);
  const serverDir = options.serverDir ?? join(dirname(folder), 'redis-server');
  const asRoot = process.getuid?.() === 0;
  const launch = await findRedis({ serverDir, folder, path, asRoot, log });
  const password = readOrCreateSecret(join(folder, 'password'));
  await endLeftoverRedis(folder, password, log);
  await launch.clear(folder);
  const { server, port } = await startUntilReady({ ...options, folder, password, launch });
  return {
    url: `redis://:${password}@127.0.0.1:${port}`,
    port,
    pid: server.pid,
    exited: server.exited,
    stop: async () => {
      await server.end(redisShutdown);
      rmSync(join(folder, 'server.json'), { force: true });
    },
  };
}

/**
 * Ends a leftover server, which is found by the recorded process and by a request to the last port. A server that
 * accepts our password is ours, even without a record. Two servers with the same append-only file would damage it.
 */
async function endLeftoverRedis(folder: string, password: string, log: (line: string) => void): Promise<void> {
  const recorded = readRecord(join(folder, 'server.json'));
  if (recorded !== undefined && isRunning(recorded)) {
    log(`stopping the Redis that an earlier run left (process ${recorded.pid})`);
    await endProcess(recorded, redisShutdown);
  }
  const port = readRememberedPort(join(folder, 'port'));
  if (port === undefined) return;
  const address = { port, password };
  const isOurs = async () => ['ready', 'loading'].includes(await probeRedis(address));
  if (!(await isOurs())) return;
  log(`stopping the Redis that an earlier run left on port ${port}`);
  // The server writes its data and ends, if it accepts our password.
  await ask(address, 'SHUTDOWN');
  if (await waitUntil(async () => !(await isOurs()), LEFTOVER_ENDS_WITHIN_MS)) return;
  const problem = `A Redis of an earlier run on port ${port} still uses ${folder} and does not stop.`;
  throw new LocalServerError('in_use', problem, `Stop its process: ss -ltnp "sport = :${port}" names it.`);
}

async function startUntilReady(plan: Plan): Promise<{ server: ServerProcess; port: number }> {
  const { folder, password, port: requested, log, launch } = plan;
  const portFile = join(folder, 'port');
  for (let attempt = 1; ; attempt += 1) {
    const port = await choosePort({ server: 'Redis', requested, rememberIn: portFile, log });
    // The port is recorded before the start, so that the next start finds the server if this process is killed.
    rememberPort(portFile, port);
    const server = spawnRedis(plan, port);
    const isReady = async () => (await probeRedis({ port, password })) === 'ready';
    await waitUntil(async () => server.hasExited() || (await isReady()), READY_WITHIN_MS);
    if (!server.hasExited() && (await isReady())) return { server, port };
    const failure = await explainFailure(server, plan, port);
    const passing = failure.code === 'port_taken' && requested === undefined && attempt < ATTEMPTS;
    if (!passing) throw failure;
    log(`${launch.description}: port ${port} is now in use, trying another port`);
  }
}

function spawnRedis({ folder, password, launch, environment }: Plan, port: number): ServerProcess {
  const settingsFile = join(folder, 'redis.conf');
  writeWhole(settingsFile, renderRedisSettings({ password, ...launch.settings(port, folder) }), 0o600);
  const command = launch.command(port, settingsFile);
  const env = { ...command.env, ...environment };
  const server = startServerProcess({ ...command, env, cwd: folder, outputFile: join(folder, 'server.log') });
  writeWhole(join(folder, 'server.json'), JSON.stringify({ pid: server.pid, startedAt: server.startedAt }));
  return server;
}

async function explainFailure(
  server: ServerProcess,
  { folder, launch }: Plan,
  port: number,
): Promise<LocalServerError> {
  const log = join(folder, 'server.log');
  if (!server.hasExited()) {
    await server.end(redisShutdown);
    const problem = `${launch.description} did not become ready in ${READY_WITHIN_MS / 1000} s.`;
    return new LocalServerError('start_failed', problem, `See ${log}.`);
  }
  const said = server.readOutput();
  if (/Address already in use|port is already allocated/.test(said)) return portTaken('Redis', port);
  if (/No space left on device/.test(said)) return diskFull(folder);
  if (/Bad file format reading the append only file|Can't handle RDB format/.test(said)) {
    const remedy = `Move ${folder} away and start again: everything in it can be rebuilt.`;
    return new LocalServerError(
      'old_data',
      `${launch.description} cannot read ${folder}:\n${lastLines(said, 4)}`,
      remedy,
    );
  }
  const problem = `${launch.description} ended during its start (${await server.exited}):\n${lastLines(said)}`;
  return new LocalServerError('start_failed', problem, `See the whole log: ${log}.`);
}

// A minimal client for Redis' protocol that checks whether a server is ours and ready, and shuts a server down. A full
// client would reconnect and retry by itself, and hide the state of the server.

const REPLY_WITHIN_MS = 1_000;

interface RedisAddress {
  readonly port: number;
  readonly password: string;
}

/** Returns the state of a server: `foreign` is another server or password. */
async function probeRedis(address: RedisAddress): Promise<'ready' | 'loading' | 'foreign' | 'silent'> {
  const [login, answer] = await ask(address, 'PING');
  if (login === undefined) return 'silent';
  if (login.startsWith('-LOADING') || answer?.startsWith('-LOADING')) return 'loading';
  return login === '+OK' && answer === '+PONG' ? 'ready' : 'foreign';
}

/** Returns the reply lines to the login and to one command; fewer if the server is silent or closes the connection. */
function ask({ port, password }: RedisAddress, command: string): Promise<string[]> {
  return new Promise((resolve) => {
    let received = '';
    const socket = connect({ host: '127.0.0.1', port });
    const lines = () => received.split('\r\n').slice(0, -1);
    const finish = () => {
      socket.destroy();
      resolve(lines());
    };
    socket.setTimeout(REPLY_WITHIN_MS, finish);
    socket.once('error', finish).once('close', finish);
    socket.once('connect', () => socket.write(`AUTH ${password}\r\n${command}\r\n`));
    socket.setEncoding('utf8').on('data', (text: string) => {
      received += text;
      if (lines().length >= 2) finish();
    });
  });
}
