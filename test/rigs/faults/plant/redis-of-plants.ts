/** The connection of planted designs to the cache's Redis, in the child process. */
import { TandemError } from '@tandem/freshness/errors';
import { Redis } from 'ioredis';

let connection: Redis | undefined;

/** Sends a command to Redis. Rejects with `unavailable` if Redis does not answer soon. */
export async function askRedis<T>(ask: (redis: Redis) => Promise<T>): Promise<T> {
  connection ??= connect();
  return ask(connection).catch((cause: unknown) => {
    throw new TandemError('unavailable', 'The planted design cannot reach Redis.', { cause, retryAfter: 1 });
  });
}

function connect(): Redis {
  const { REDIS_URL = '' } = process.env;
  const redis = new Redis(REDIS_URL, {
    commandTimeout: 250,
    maxRetriesPerRequest: 1,
    connectionName: 'planted',
  });
  redis.on('error', () => {});
  return redis;
}
