/**
 * Postgres and Redis that belong to one test file, so that it may stop, kill, flush and age them. TEST_POSTGRES_BIN
 * names another Postgres than npm's, by the folder of its programs.
 */
import { chmod, cp, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { startPostgres } from '@tandem/local-servers/postgres';
import { startRedis } from '@tandem/local-servers/redis';
import type { LocalServer } from '@tandem/local-servers/server-process';

/** A server whose process ends and begins again at the same address. */
export interface OwnServer {
  readonly url: string;
  signal(signal: NodeJS.Signals): void;
  /** Ends its process by that signal; resolves when it is gone. */
  end(signal: NodeJS.Signals): Promise<void>;
  /** Starts it again on the data that are there. */
  start(): Promise<void>;
}

interface ClosableServer extends OwnServer {
  close(): Promise<void>;
}

export interface OwnRedis extends OwnServer {
  /** Copies what it has written so far; `restore` puts it back, while it is ended. */
  copyData(): Promise<{ restore(): Promise<void> }>;
}

export interface OwnPostgres extends OwnServer {
  /** Its folder of data, which may be copied, and replaced while it is ended. */
  readonly cluster: string;
}

const quiet = () => {};

/** They live in process groups of their own: a test's process that ends before it could close them takes them along. */
const living = new Set<() => void>();
process.on('exit', () => {
  for (const end of living) end();
});

/** A folder for servers, which the account that Postgres runs under can enter. */
export async function makeFolder(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'tandem-e2e-'));
  await chmod(folder, 0o755);
  return folder;
}

export interface OwnServerOptions {
  /** Of its own folder in the folder. */
  readonly name?: string;
  /** Of its process, beside its own. */
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

/** @param last ends it at once, and leaves nothing behind in the system */
async function own(start: () => Promise<LocalServer>, last: NodeJS.Signals): Promise<ClosableServer> {
  let isRunning = true;
  let server = await follow();
  const { url } = server;
  const send = (signal: NodeJS.Signals) => {
    // Not to a later process of the same number.
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
      if (server.url !== url) throw new Error('the server came back at another address: its port was taken');
    },
    async close() {
      // A server that a failed test left stopped could not end.
      send('SIGCONT');
      await server.stop();
      living.delete(endAtOnce);
    },
  };
}
