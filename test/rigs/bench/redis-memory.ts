/** Counts the users in Redis, and measures their memory. */
import { randomUUID } from 'node:crypto';
import { createKeys } from '@tandem/online-store/keys';
import type { Generation } from '@tandem/prediction/runs/generations';
import { Redis } from 'ioredis';
import type { WorkerParts } from './run-everyone.ts';
import type { BenchServers } from './service.ts';

/** Returns the bytes that Redis uses for data, without the buffers of connections and of the append-only file. */
export async function redisBytes({ env }: BenchServers): Promise<number> {
  const redis = new Redis(env.REDIS_URL);
  try {
    const info = await redis.info('memory');
    const field = (name: string) => Number(new RegExp(`^${name}:(\\d+)`, 'm').exec(info)?.[1] ?? 0);
    return field('used_memory') - field('mem_clients_normal') - field('mem_aof_buffer');
  } finally {
    redis.disconnect();
  }
}

const BUCKETS_AT_ONCE = 5_000;

/** Counts the users of a generation in Redis, bucket by bucket. */
export async function countUsersInRedis(url: string, { id, buckets }: Pick<Generation, 'id' | 'buckets'>) {
  const { bucket } = createKeys();
  const redis = new Redis(url);
  let users = 0;
  try {
    for (let first = 0; first < buckets; first += BUCKETS_AT_ONCE) {
      const pipeline = redis.pipeline();
      for (let no = first; no < Math.min(buckets, first + BUCKETS_AT_ONCE); no++) pipeline.hlen(bucket(id, no));
      for (const [error, size] of (await pipeline.exec()) ?? []) {
        if (error) throw error;
        users += Number(size);
      }
    }
    return users;
  } finally {
    redis.disconnect();
  }
}

const WINDOW = 10_000;
/** The mean number of users in a bucket, as a run plans it. */
const USERS_PER_BUCKET = 48;

/**
 * Returns the bytes per user for ids of 36 characters (UUIDs) and one score. The product's loader loads the rows,
 * without a run.
 */
export async function bytesPerLongId(servers: BenchServers, { loader }: WorkerParts, users: number): Promise<number> {
  const startedAt = Date.now();
  const generation = { id: randomUUID(), buckets: Math.ceil(users / USERS_PER_BUCKET), startedAt };
  const before = await redisBytes(servers);
  for (let first = 0; first < users; first += WINDOW) {
    const rows = Array.from({ length: Math.min(WINDOW, users - first) }, () => {
      const outputs = Buffer.alloc(4);
      outputs.writeFloatLE(Math.random());
      return { userId: randomUUID(), contextVersion: 0, computedAt: startedAt, outputs };
    });
    await loader.loadRows(generation, rows);
  }
  if (!(await loader.completeLoad(generation, users))) throw new Error('Redis does not hold all users with long ids');
  return ((await redisBytes(servers)) - before) / users;
}
