/**
 * The product's processes, as operators start them, on a Postgres and a Redis that only the benchmark uses.
 * `BenchServers.stop` ends every process that this module started, also after a failure.
 *
 * Postgres has the settings of the local server (`libs/local-servers`): the defaults of Postgres, which are durable,
 * with 128 MB of shared buffers. There are two Redis servers, as in docker-compose.yml: a cache that keeps nothing on
 * disk, and a queue with an append-only file that is synced every second.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmod, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { createInterface } from 'node:readline';
import { findFreePort } from '@tandem/local-servers/ports';
import { startPostgres } from '@tandem/local-servers/postgres';
import { startRedis } from '@tandem/local-servers/redis';
import { createPool } from '@tandem/offline-store/sql/database';
import { migrate } from '@tandem/offline-store/sql/migrate';
import { Redis } from 'ioredis';

export { type AdoptedUsers, adoptBench, adoptPredictor, FEATURES, FIRST_USER } from './predictors.ts';

const root = resolve(import.meta.dirname, '../../..');

/** Variables of a process's environment. */
export type Variables = Readonly<Record<string, string>>;

export interface BenchServers {
  readonly env: Readonly<Record<'DATABASE_URL' | 'REDIS_URL' | 'QUEUE_REDIS_URL', string>>;
  /** The roots of the servers' process trees. */
  readonly pids: Readonly<Record<'postgres' | 'redis' | 'queue', number>>;
  readonly pool: ReturnType<typeof createPool>;
  /** A folder for small files, removed at the end. */
  readonly folder: string;
  /** Registers a process that `stop` ends. */
  own(child: ChildProcess): void;
  /** Ends the processes that use these servers, then the servers, and removes their data. May be called twice. */
  stop(): Promise<void>;
}

/** Starts the servers. If it fails, it stops what it started and removes their data. */
export async function startServers(): Promise<BenchServers> {
  const folder = await mkdtemp(join(tmpdir(), 'tandem-bench-'));
  const undo: (() => Promise<unknown>)[] = [() => rm(folder, { recursive: true, force: true })];
  let stopping: Promise<void> | undefined;
  const stop = () => {
    stopping ??= undoAll(undo);
    return stopping;
  };
  try {
    // The account that runs Postgres must be able to enter the folder.
    await chmod(folder, 0o755);
    const log = () => {};
    const binDir = process.env.TEST_POSTGRES_BIN || undefined;
    const postgres = await startPostgres({ dataDir: join(folder, 'postgres'), binDir, log });
    undo.push(() => postgres.stop());
    // Unpacked once per machine, as for the tests.
    const serverDir = join(tmpdir(), 'tandem-test-redis');
    const redis = await startRedis({ dataDir: join(folder, 'redis'), serverDir, log });
    undo.push(() => redis.stop());
    await disableAppendOnlyFile(redis.url);
    const queue = await startRedis({ dataDir: join(folder, 'queue'), serverDir, log });
    undo.push(() => queue.stop());
    await migrate(postgres.url);
    const pool = createPool({ url: postgres.url, max: 4, applicationName: 'bench', statementTimeoutMs: 600_000 });
    undo.push(() => pool.end());
    const children = new Set<ChildProcess>();
    undo.push(() => Promise.all([...children].map((child) => end(child, 'SIGKILL'))));
    const env = { DATABASE_URL: postgres.url, REDIS_URL: redis.url, QUEUE_REDIS_URL: queue.url };
    const pids = { postgres: postgres.pid, redis: redis.pid, queue: queue.pid };
    const own = (child: ChildProcess) => {
      children.add(child);
      child.once('exit', () => children.delete(child));
    };
    return { env, pids, pool, folder, own, stop };
  } catch (error) {
    await stop();
    throw error;
  }
}

/** Turns off the append-only file of Redis, whose rewrites took 5 % of the CPU of a run of 10,000,000 users. */
async function disableAppendOnlyFile(url: string): Promise<void> {
  const redis = new Redis(url);
  await redis.config('SET', 'appendonly', 'no').finally(() => redis.disconnect());
}

/**
 * Starts the servers of a program. SIGINT, SIGTERM and SIGHUP stop the servers and end the program, also during the
 * start.
 */
export function startServersUntilSignal(): Promise<BenchServers> {
  const starting = startServers();
  // One Ctrl-C can send the signal twice: from the terminal, and from npm, which forwards it.
  const leave = (code: number) => void starting.then((one) => one.stop()).finally(() => process.exit(code));
  process.on('SIGINT', () => leave(130));
  process.on('SIGTERM', () => leave(143));
  process.on('SIGHUP', () => leave(129));
  return starting;
}

/** Runs the steps in reverse order. A failed step does not stop the others. */
async function undoAll(undo: (() => Promise<unknown>)[]): Promise<void> {
  const failures: unknown[] = [];
  for (const step of undo.reverse()) await step().catch((error: unknown) => failures.push(error));
  if (failures.length > 0) throw failures[0];
}

/** A running program. */
export interface Program {
  readonly pid: number;
  /** Sends SIGTERM. Resolves when the process has ended. */
  stop(): Promise<void>;
  /** Sends SIGKILL. Resolves when the process has ended. Its child processes keep running. */
  kill(): Promise<void>;
}

/** A program that answers HTTP. */
export interface BenchProcess extends Program {
  readonly url: string;
}

/** Starts the API. `variables` override the defaults of its environment. */
export async function startApi(servers: BenchServers, variables: Variables = {}): Promise<BenchProcess> {
  const port = await findFreePort();
  const last = Number(variables.API_PROCESSES ?? 1) > 1 ? '"api.processes_started"' : '"api.started"';
  const isReady = (line: string) => line.includes(last);
  const api = await start(servers, ['apps/api/main.ts'], { PORT: `${port}`, ...variables }, isReady);
  return { ...api, url: `http://127.0.0.1:${port}` };
}

export function startWorker(servers: BenchServers, variables: Variables = {}): Promise<Program> {
  return start(servers, ['apps/worker/main.ts'], variables, (line) => line.includes('"worker.started"'));
}

export function startBaseline(servers: BenchServers, kind: 'hmget' | 'hmget+pg'): Promise<BenchProcess> {
  return startListener(servers, ['test/rigs/bench/baseline-server.ts', kind]);
}

/** Starts a program that prints its port as a line of digits. */
export async function startListener(
  servers: BenchServers,
  args: readonly string[],
  variables: Variables = {},
): Promise<BenchProcess> {
  const { line, ...program } = await start(servers, args, variables, (text) => /^\d+$/.test(text));
  return { ...program, url: `http://127.0.0.1:${line}` };
}

/** Starts a program of the project. `isReady` returns whether a line of its output means that the program is ready. */
async function start(
  servers: BenchServers,
  args: readonly string[],
  variables: Variables,
  isReady: (line: string) => boolean,
): Promise<Program & { readonly line: string }> {
  const child = spawnProgram(servers, args, variables);
  for await (const line of createInterface({ input: child.stdout })) {
    if (!isReady(line)) continue;
    child.stdout.resume();
    return { line, pid: child.pid ?? -1, stop: () => end(child, 'SIGTERM'), kill: () => end(child, 'SIGKILL') };
  }
  throw new Error(`${args.join(' ')} ended before it was ready`);
}

/** Runs a program of the project to its end and returns its output. Rejects if the program fails. */
export async function runProgram(
  servers: BenchServers,
  args: readonly string[],
  variables: Variables = {},
): Promise<string> {
  const child = spawnProgram(servers, args, variables);
  const ended = once(child, 'exit');
  let output = '';
  for await (const piece of child.stdout.setEncoding('utf8')) output += piece;
  const [code, signal] = await ended;
  if (code !== 0) throw new Error(`${args.join(' ')} ended with ${signal ?? `code ${code}`}`);
  return output;
}

function spawnProgram({ env, own }: BenchServers, args: readonly string[], variables: Variables) {
  const child = spawn(process.execPath, args, {
    cwd: root,
    env: { PATH: process.env.PATH, ...env, ...variables },
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  own(child);
  return child;
}

async function end(child: ChildProcess, signal: NodeJS.Signals): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  child.kill(signal);
  await once(child, 'exit');
}
