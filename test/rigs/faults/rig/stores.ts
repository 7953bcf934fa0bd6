/**
 * The stores of the service: Postgres, the cache's Redis and the queue's Redis. Each can be killed, emptied and
 * restored.
 */
import { execFile } from 'node:child_process';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { Redis } from 'ioredis';
import pg from 'pg';
import { type OwnRedis, type OwnServer, ownPostgres, ownRedis } from '../../../e2e/servers.fixture.ts';
import type { ServerClock } from './server-clock.ts';

const run = promisify(execFile);

export type StoreName = 'postgres' | 'cache' | 'queue';

export interface RigServer extends OwnServer {
  /** Null if this machine cannot move the clock of a server. */
  readonly clock: ServerClock | null;
  /** Returns the time of the server, in milliseconds since 1970. */
  tellTime(): Promise<number>;
  close(): Promise<void>;
}

export interface RigPostgres extends RigServer {
  /** The data folder. */
  readonly cluster: string;
  /** Stops Postgres with `pg_ctl -m immediate` and starts it. Recovery replays the log. */
  restartImmediately(): Promise<void>;
  /** Copies the data. Postgres is stopped during the copy. */
  backUp(): Promise<void>;
  /** Replaces the data by the copy. The caller must then rotate the history, as operators must after a restore. */
  restore(): Promise<void>;
}

export interface RigRedis extends RigServer {
  flush(): Promise<void>;
  /** Kills Redis and starts it without data. */
  restartEmpty(): Promise<void>;
  /** Copies the current data for `restartOld`. */
  keepCopy(): Promise<void>;
  /** Kills Redis and starts it with the copy. */
  restartOld(): Promise<void>;
  /** Calls `use` with a connection, and closes the connection. */
  with<T>(use: (redis: Redis) => Promise<T>): Promise<T>;
}

/**
 * @param folder must be accessible to the account that runs Postgres
 * @param name the name of the subfolder for this server
 */
export async function startPostgresOf(
  folder: string,
  clock: ServerClock | null,
  name = 'postgres',
): Promise<RigPostgres> {
  const server = await ownPostgres(folder, { name, ...clock });
  const { cluster } = server;
  const copy = join(folder, name, 'backup');
  // `cp -a` keeps the owner of the files, which is another account.
  const copyFolder = async (from: string, to: string) => {
    await rm(to, { recursive: true, force: true });
    await run('cp', ['-a', from, to]);
  };
  return {
    ...server,
    clock,
    tellTime: () => timeOfPostgres(server.url),
    async restartImmediately() {
      await server.end('SIGQUIT');
      await server.start();
    },
    async backUp() {
      await server.end('SIGINT');
      await copyFolder(cluster, copy);
      await server.start();
    },
    async restore() {
      await server.end('SIGQUIT');
      await copyFolder(copy, cluster);
      await server.start();
    },
  };
}

async function timeOfPostgres(url: string): Promise<number> {
  const client = new pg.Client({ connectionString: url, connectionTimeoutMillis: 10_000 });
  await client.connect();
  const { rows } = await client.query<{ ms: number }>(
    'select (extract(epoch from clock_timestamp()) * 1000)::float8 as ms',
  );
  await client.end();
  return rows[0]?.ms ?? Number.NaN;
}

/** @param settings are applied by CONFIG SET after each start */
export async function startRedisOf(
  folder: string,
  clock: ServerClock | null,
  settings: Readonly<Record<string, string>> = {},
): Promise<RigRedis> {
  const server = await ownRedis(folder, clock ?? {});
  let copy: Awaited<ReturnType<OwnRedis['copyData']>> | undefined;

  async function withRedis<T>(use: (redis: Redis) => Promise<T>): Promise<T> {
    const redis = new Redis(server.url, { connectionName: 'fault-rig', commandTimeout: 10_000 });
    redis.on('error', () => {});
    try {
      return await use(redis);
    } finally {
      redis.disconnect();
    }
  }

  const configure = () =>
    withRedis(async (redis) => {
      for (const [name, value] of Object.entries(settings)) await redis.config('SET', name, value);
    });

  async function start(): Promise<void> {
    await server.start();
    await configure();
  }

  await configure();
  return {
    ...server,
    clock,
    tellTime: () => withRedis(async (redis) => Number((await redis.time())[0]) * 1_000),
    start,
    with: withRedis,
    flush: () => withRedis(async (redis) => void (await redis.flushall())),
    async restartEmpty() {
      await server.end('SIGKILL');
      await rm(join(folder, 'redis', 'appendonlydir'), { recursive: true, force: true });
      await start();
    },
    async keepCopy() {
      copy = await server.copyData();
    },
    async restartOld() {
      if (!copy) throw new Error('no copy was kept: call keepCopy first');
      await server.end('SIGKILL');
      await copy.restore();
      await start();
    },
  };
}
