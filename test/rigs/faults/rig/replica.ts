/** A replica of the cache's Redis, which falls behind and becomes a primary beside its former primary. */
import { copyFile, mkdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { until } from '../../../e2e/until.fixture.ts';
import { startProxy } from './proxy.ts';
import { CACHE_SETTINGS, type Rig } from './rig.ts';
import { startRedisOf } from './stores.ts';

export interface Replica {
  readonly url: string;
  /** Holds all replication data back. The replica still counts as connected. */
  stopFollowing(): Promise<void>;
  promote(): Promise<void>;
  /** Stops the replica and removes its data. */
  close(): Promise<void>;
}

/** Starts a replica. Resolves when it has all data of its primary. */
export async function startReplica({ folder, cache, seed }: Rig): Promise<Replica> {
  const own = join(folder, 'replica');
  // A client that is redirected to the replica uses the password of the primary.
  await mkdir(join(own, 'redis'), { recursive: true, mode: 0o700 });
  await copyFile(join(folder, 'cache', 'redis', 'password'), join(own, 'redis', 'password'));
  const server = await startRedisOf(own, null, CACHE_SETTINGS);
  const { port, password } = new URL(cache.url);
  const link = await startProxy({ port: Number(port), seed });
  await server.with(async (redis) => {
    await redis.config('SET', 'masterauth', decodeURIComponent(password));
    await redis.replicaof('127.0.0.1', link.port);
    await until('the replica follows its primary', async () =>
      (await redis.info('replication')).includes('master_link_status:up'),
    );
  });
  return {
    url: server.url,
    async stopFollowing() {
      link.add({ type: 'timeout', timeout: 0 });
    },
    promote: () => server.with(async (redis) => void (await redis.replicaof('NO', 'ONE'))),
    async close() {
      await server.close();
      await link.close();
      await rm(own, { recursive: true, force: true });
    },
  };
}
