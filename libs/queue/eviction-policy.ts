/** A queue's Redis must not evict: BullMQ's keys depend on each other, and half a queue is worse than none. */
import { TandemError } from '@tandem/freshness/errors';

/** What the check needs of a connection. */
export interface InfoSource {
  info(section: 'memory'): Promise<string>;
}

/** - `fit`: noeviction; `unfit`: with the policy it has; `unknown`: the server does not say. */
export type EvictionCheck =
  | { readonly outcome: 'fit' }
  | { readonly outcome: 'unfit'; readonly policy: string }
  | { readonly outcome: 'unknown'; readonly why: string };

/** Asks by INFO rather than CONFIG, which managed servers forbid more often. */
export async function checkEviction(redis: InfoSource): Promise<EvictionCheck> {
  let answer: string;
  try {
    answer = await redis.info('memory');
  } catch (error) {
    return { outcome: 'unknown', why: error instanceof Error ? error.message : String(error) };
  }
  const policy = /^maxmemory_policy:(\S+)/m.exec(answer)?.[1];
  if (policy === undefined) return { outcome: 'unknown', why: 'INFO memory names no maxmemory_policy' };
  return policy === 'noeviction' ? { outcome: 'fit' } : { outcome: 'unfit', policy };
}

export function unfitForQueues(policy: string): TandemError {
  return new TandemError('config_invalid', `The queue's Redis may evict keys: its maxmemory-policy is ${policy}.`, {
    field: 'QUEUE_REDIS_URL',
    remedy:
      'run `redis-cli config set maxmemory-policy noeviction` (and set it in redis.conf), or name another Redis in QUEUE_REDIS_URL',
  });
}
