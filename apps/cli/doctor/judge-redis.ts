/** What Redis must be for the queue and the online store: judged from what it says of itself. */
import { type Finding, failed, ok, warning } from '../output/finding.ts';

export interface RedisFacts {
  readonly version: string;
  readonly role: string;
  /** `noeviction`, `allkeys-lru`, … */
  readonly policy: string;
  /** Bytes; 0: no limit. */
  readonly maxMemory: number;
  readonly usedMemory: number;
  /** Whether BullMQ's jobs lie here. */
  readonly holdsQueue: boolean;
}

const OLDEST_MAJOR = 7;
const MB = 1024 * 1024;

export function judgeRedis(facts: RedisFacts): Finding[] {
  return [judgeVersion(facts), judgePolicy(facts), judgeMemory(facts)];
}

function judgeVersion({ version, role }: RedisFacts): Finding {
  if (Number.parseInt(version, 10) < OLDEST_MAJOR)
    return failed('redis', `${version} is too old`, 'use Redis 7 or newer');
  if (role !== 'master') {
    return failed(
      'redis',
      `${version}, and it is a replica`,
      'let REDIS_URL name the master: a replica takes no writes',
    );
  }
  return ok('redis', version);
}

function judgePolicy({ policy, holdsQueue }: RedisFacts): Finding {
  if (policy === 'noeviction' || !holdsQueue) return ok('eviction', `maxmemory-policy ${policy}`);
  const remedy = 'config set maxmemory-policy noeviction; or give the queue a Redis of its own: QUEUE_REDIS_URL';
  return failed('eviction', `maxmemory-policy is ${policy}: jobs of the queue would be thrown away`, remedy);
}

function judgeMemory({ usedMemory, maxMemory }: RedisFacts): Finding {
  const used = Math.ceil(usedMemory / MB);
  if (maxMemory === 0) return ok('memory', `${used} MB used, no limit`);
  const limit = Math.floor(maxMemory / MB);
  if (usedMemory < maxMemory * 0.8) return ok('memory', `${used} of ${limit} MB used`);
  const remedy = 'raise maxmemory; a generation takes about 26 bytes a user, three of them are kept';
  return warning('memory', `${used} of ${limit} MB used`, remedy);
}
