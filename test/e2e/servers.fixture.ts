/** Postgres and Redis that belong to one test file, so that it may stop, kill, flush and age them. */
import { chmod, cp, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { startPostgres } from '@tandem/local-servers/postgres';
import { startRedis } from '@tandem/local-servers/redis';
import type { LocalServer } from '@tandem/local-servers/server-process';

/** A server whose process ends and begins again at the same address. */
export interface OwnServer {
  readonly url: string;
  pid(): number;
  signal(signal: NodeJS.Signals): void;
  /** Ends its process by that signal; resolves when it is gone. */
  end(signal: NodeJS.Signals): Promise<void>;
  /** Starts it again on the data that are there. */
  start(): Promise<void>;
}

export interface OwnRedis extends OwnServer {
  /** Copies what it has written so far; `restore` puts it back, while it is ended. */
  copyData(): Promise<{ restore(): Promise<void> }>;
}

const quiet = () => {};

/** A folder for servers, which the account that Postgres runs under can enter. */
export async function makeFolder(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'tandem-e2e-'));
  await chmod(folder, 0o755);
  return folder;
}

export async function ownRedis(folder: string): Promise<OwnRedis & { close(): Promise<void> }> {
  const dataDir = join(folder, 'redis');
  const serverDir = join(tmpdir(), 'tandem-test-redis');
  const server = await own(() => startRedis({ dataDir, serverDir, log: quiet }));
  const data = join(dataDir, 'appendonlydir');
  let copies = 0;
  return {
    ...server,
    async copyData() {
      const copy = join(folder, `redis-copy-${++copies}`);
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

export function ownPostgres(folder: string): Promise<OwnServer & { close(): Promise<void> }> {
  return own(() => startPostgres({ dataDir: join(folder, 'postgres'), log: quiet }));
}

async function own(start: () => Promise<LocalServer>): Promise<OwnServer & { close(): Promise<void> }> {
  let server = await start();
  const { url } = server;
  return {
    url,
    pid: () => server.pid,
    signal: (signal) => void process.kill(server.pid, signal),
    async end(signal) {
      process.kill(server.pid, signal);
      await server.exited;
    },
    async start() {
      server = await start();
      if (server.url !== url) throw new Error('the server came back at another address: its port was taken');
    },
    async close() {
      // One that a failed test left stopped could not end.
      try {
        process.kill(server.pid, 'SIGCONT');
      } catch {
        // It has ended.
      }
      await server.stop();
    },
  };
}
