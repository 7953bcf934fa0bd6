/**
 * Postgres and Redis for one test file, which may stop, kill and flush them, and restore old data. TEST_POSTGRES_BIN
 * names the folder of the programs of another Postgres than npm's.
 */
import { chmod, cp, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { startPostgres } from '@tandem/local-servers/postgres';
import { startRedis } from '@tandem/local-servers/redis';
import type { LocalServer } from '@tandem/local-servers/server-process';

/** A server that can be ended and started again at the same address. */
export interface OwnServer {
  readonly url: string;
  signal(signal: NodeJS.Signals): void;
  /** Sends the signal. Resolves when the process has ended. */
  end(signal: NodeJS.Signals): Promise<void>;
  /** Starts the server again with its existing data. */
  start(): Promise<void>;
}

interface ClosableServer extends OwnServer {
  close(): Promise<void>;
}

export interface OwnRedis extends OwnServer {
  /** Copies the data written so far. `restore` replaces the data by the copy after the server has ended. */
  copyData(): Promise<{ restore(): Promise<void> }>;
}

export interface OwnPostgres extends OwnServer {
  /** The data folder. It may be replaced while the server is not running. */
  readonly cluster: string;
}

const quiet = () => {};

/**
 * Functions that end the running servers. They are called when the test's process exits, because servers have their own
 * process groups.
 */
const living = new Set<() => void>();
process.on('exit', () => {
  for (const end of living) end();
});

/** Makes a folder for servers, which the account that runs Postgres can enter. */
export async function makeFolder(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'tandem-e2e-'));
  await chmod(folder, 0o755);
  return folder;
}

export interface OwnServerOptions {
  /** The name of the server's subfolder. */
  readonly name?: string;
  /** Further environment variables of the server's process. */
  readonly environment?: Readonly<Record<string, string>>;
}

export async function ownRedis(folder: string, options: OwnServerOptions = {}): Promise<OwnRedis & ClosableServer> {
  const { name = 'redis', environment = {} } = options;
  const dataDir = join(folder, name);
  const serverDir = join(tmpdir(), 'tandem-test-redis');
  const server = await own(() => startRedis({ dataDir, serverDir, environment, log: quiet }), 'SIGKILL');
  const data = join(dataDir, 'appendonlydir');
  let copies = 0;
  return {
    ...server,
    async copyData() {
      const copy = join(folder, `${name}-copy-${++copies}`);
      await cp(data, copy, { recursive: true });
      return {
        async restore() {
          await rm(data, { recursive: true });
          await cp(copy, data, { recursive: true });
        },
      };
    },
  };
}

export async function ownPostgres(
  folder: string,
  { name = 'postgres', environment = {} }: OwnServerOptions = {},
): Promise<OwnPostgres & ClosableServer> {
  const dataDir = join(folder, name);
  const binDir = process.env.TEST_POSTGRES_BIN || undefined;
  const server = await own(() => startPostgres({ dataDir, binDir, environment, log: quiet }), 'SIGQUIT');
  return { ...server, cluster: join(dataDir, 'cluster') };
}

/** @param last the signal that ends the server at once and leaves no resources behind */
async function own(start: () => Promise<LocalServer>, last: NodeJS.Signals): Promise<ClosableServer> {
  let isRunning = true;
  let server = await follow();
  const { url } = server;
  const send = (signal: NodeJS.Signals) => {
    // Never signals a later process with the same id.
    if (isRunning) process.kill(server.pid, signal);
  };
  const endAtOnce = () => send(last);
  living.add(endAtOnce);

  async function follow(): Promise<LocalServer> {
    const started = await start();
    isRunning = true;
    void started.exited.then(() => {
      isRunning = false;
    });
    return started;
  }

  return {
    url,
    signal: send,
    async end(signal) {
      send(signal);
      await server.exited;
    },
    async start() {
      server = await follow();
      if (server.url !== url) throw new Error('the server restarted at another address, because its port was in use');
    },
    async close() {
      // A failed test may have left the server stopped, and a stopped server cannot end.
      send('SIGCONT');
      await server.stop();
      living.delete(endAtOnce);
    },
  };
}
