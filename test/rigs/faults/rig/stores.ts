/** The servers under the service: Postgres, the cache's Redis and the queue's Redis, each to be ended, aged and emptied. */
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
  /** Null where no clock of a server can be moved. */
  readonly clock: ServerClock | null;
  /** Milliseconds since 1970, as the server itself has it. */
  tellTime(): Promise<number>;
  close(): Promise<void>;
}

export interface RigPostgres extends RigServer {
  /** Its folder of data. */
  readonly cluster: string;
  /** `pg_ctl -m immediate`, and a start; recovery replays the log. */
  restartImmediately(): Promise<void>;
  /** A copy of its data as they are now; it is stopped for the time of the copying. */
  backUp(): Promise<void>;
  /** Puts the copy in the place of the data, which are lost. The caller then rotates the history, as ops are told to. */
  restore(): Promise<void>;
}

export interface RigRedis extends RigServer {
  flush(): Promise<void>;
  /** Killed, and back without any data. */
  restartEmpty(): Promise<void>;
  /** Keeps what it holds now, for `restartOld`. */
  keepCopy(): Promise<void>;
  /** Killed, and back with the copy. */
  restartOld(): Promise<void>;
  /** Some commands, on a connection that is closed afterwards. */
  with<T>(use: (redis: Redis) => Promise<T>): Promise<T>;
}

/**
 * @param folder that the account which Postgres runs under can enter
 * @param name of its own folder in that
 */
export async function startPostgresOf(
  folder: string,
  clock: ServerClock | null,
  name = 'postgres',
): Promise<RigPostgres> {
  const server = await ownPostgres(folder, { name, ...clock });
  const { cluster } = server;
  const copy = join(folder, name, 'backup');
  // By `cp`: the data belong to another account, and must stay so.
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

/** @param settings of CONFIG SET, after each start */
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
