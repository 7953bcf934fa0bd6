/** A Redis with replicas for both cache and queue: a cluster of three primaries, or one primary behind sentinels. */
import { createErasures } from '@tandem/online-store/erasures';
import { createOnlineConnection } from '@tandem/online-store/online-connection';
import { startRedisCluster } from '@tandem/testing/redis-cluster';
import { startRedisSentinel } from '@tandem/testing/redis-sentinel';
import type { RedisServer } from '@tandem/testing/redis-servers';
import type { ErasingStores } from '../checker/check-erased.ts';

export type ReplicatedForm = 'cluster' | 'sentinel';

export interface ReplicatedRedis {
  readonly form: ReplicatedForm;
  readonly url: string;
  /** Returns the running servers that accept writes now. */
  primaries(): Promise<readonly RedisServer[]>;
  /** Resolves when every key has a primary. */
  whenWhole(): Promise<void>;
  /** Moves slots with their keys. Rejects if the form has no slots. */
  moveSlots(from: RedisServer, to: RedisServer, slots: readonly number[]): Promise<void>;
  /** The requests that the checker sends to Redis at the end. */
  readonly stored: Pick<ErasingStores, 'redis' | 'isCounted'>;
  close(): Promise<void>;
}

const PATIENCE_MS = 10_000;

export async function startReplicatedRedis(form: ReplicatedForm): Promise<ReplicatedRedis> {
  const servers = await (form === 'cluster' ? ofCluster() : ofSentinel());
  const connection = createOnlineConnection({ url: servers.url, log: () => {}, commandTimeoutMs: PATIENCE_MS });
  await connection.whenReady(PATIENCE_MS);
  const serverOf = (key: string) => {
    const { shards, shardOf } = connection.layout();
    const server = shards[shardOf(key)]?.server;
    if (!server) throw new Error(`no server holds ${key}`);
    return server.redis;
  };
  return {
    form,
    ...servers,
    async primaries() {
      const running = servers.nodes.filter((node) => node.isRunning());
      const roles = await Promise.all(running.map((node) => node.send('role').catch(() => [])));
      return running.filter((_, i) => String((roles[i] as unknown[])[0]) === 'master');
    },
    stored: {
      redis: {
        keys: async (pattern) =>
          (
            await Promise.all(connection.layout().shards.map(({ server }) => server.redis.keys(String(pattern))))
          ).flat(),
        hexists: (key, field) => serverOf(String(key)).hexists(key, field),
        get: (key) => serverOf(String(key)).get(key),
      },
      isCounted: async (history) => (await createErasures({ connection }).told())?.history === history,
    },
    async close() {
      connection.close();
      await servers.stop();
    },
  };
}

type Servers = Pick<ReplicatedRedis, 'url' | 'whenWhole' | 'moveSlots'> & {
  readonly nodes: readonly RedisServer[];
  stop(): Promise<void>;
};

function ofCluster(): Promise<Servers> {
  return startRedisCluster();
}

async function ofSentinel(): Promise<Servers> {
  const { primary, replica, ...rest } = await startRedisSentinel();
  return {
    ...rest,
    nodes: [primary, replica],
    whenWhole: async () => {},
    moveSlots: () => Promise.reject(new Error('a Redis behind sentinels has no slots')),
  };
}
