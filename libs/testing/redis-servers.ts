/** Starts separate Redis servers for a test, with their own settings and one password, without data files. */
import { randomBytes } from 'node:crypto';
import { mkdirSync, writeFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { findFreePort } from '@tandem/local-servers/ports';
import { findRedis } from '@tandem/local-servers/redis-find';
import { type ServerProcess, startServerProcess } from '@tandem/local-servers/server-process';
import { ServerConnection } from '@tandem/online-store/connection';
import { command } from '@tandem/online-store/pipelined-commands';

export const LOOPBACK = '127.0.0.1';
const READY_WITHIN_MS = 60_000;

export type RedisServers = Awaited<ReturnType<typeof createRedisServers>>;

export async function createRedisServers() {
  const folder = await mkdtemp(join(tmpdir(), 'tandem-redis-servers-'));
  const launch = await findRedis({
    ...{ serverDir: join(tmpdir(), 'tandem-test-redis'), folder, path: process.env.PATH, log: () => {} },
    asRoot: process.getuid?.() === 0,
  });
  const password = randomBytes(12).toString('hex');
  const servers: RedisServer[] = [];
  return {
    password,
    /**
     * Starts a server.
     * @param settings further settings of redis.conf
     * @param args arguments of its command line, after the file of settings
     */
    async start(settings: Readonly<Record<string, string | number>>, args: readonly string[] = []) {
      const own = join(folder, String(servers.length));
      mkdirSync(own);
      const port = await findFreePort();
      const settingsFile = join(own, 'redis.conf');
      const all = { bind: LOOPBACK, port, requirepass: password, dir: own, ...settings };
      writeFileSync(
        settingsFile,
        Object.entries(all)
          .map((pair) => `${pair.join(' ')}\n`)
          .join(''),
      );
      const run = launch.command(port, settingsFile);
      const server = await follow(port, password, () =>
        startServerProcess({ ...run, args: [...run.args, ...args], cwd: own, outputFile: join(own, 'server.log') }),
      );
      servers.push(server);
      return server;
    },
    async stop() {
      await Promise.all(servers.map((server) => server.kill()));
      await rm(folder, { recursive: true, force: true });
    },
  };
}

export type RedisServer = Awaited<ReturnType<typeof follow>>;

async function follow(port: number, password: string, start: () => ServerProcess) {
  let server: ServerProcess;
  let connection: ServerConnection;
  async function restart() {
    server = start();
    const limits = { commandTimeoutMs: 10_000, connectTimeoutMs: 2_000, log: () => {} };
    connection = new ServerConnection({ host: LOOPBACK, port, password }, limits);
    await connection.whenReady(READY_WITHIN_MS);
  }
  await restart();
  return {
    port,
    /** Starts the server again after `kill`, without data. */
    restart,
    get pid() {
      return server.pid;
    },
    isRunning: () => !server.hasExited(),
    /** Sends a command. Rejects if the server rejects the command. */
    async send(name: string, ...args: string[]): Promise<unknown> {
      const [reply] = await connection.send([command(name, args)]);
      if (reply instanceof Error) throw reply;
      return reply;
    },
    /** Kills the server with SIGKILL. */
    async kill() {
      connection.close();
      if (!server.hasExited()) process.kill(server.pid, 'SIGKILL');
      await server.exited;
    },
  };
}

/** Waits until a condition holds. Rejects if it does not hold within a minute. A check that rejects counts as false. */
export async function waitUntil(what: string, isSo: () => Promise<boolean>): Promise<void> {
  const deadline = performance.now() + READY_WITHIN_MS;
  while (!(await isSo().catch(() => false))) {
    if (performance.now() > deadline) throw new Error(`${what}: not within ${READY_WITHIN_MS} ms`);
    await pause(50);
  }
}

/** Returns whether a replica has all data of its primary. */
export async function isInSync(replica: RedisServer): Promise<boolean> {
  return String(await replica.send('info', 'replication')).includes('master_link_status:up');
}
