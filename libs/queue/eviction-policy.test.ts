import { describe, expect, it } from 'vitest';
import { checkEviction, unfitForQueues } from './enqueue.ts';

describe('eviction policy', () => {
  it('rejects a server that may evict, with the remedy', async () => {
    const info = async () => '# Memory\r\nused_memory:1\r\nmaxmemory_policy:allkeys-lru\r\n';
    expect(await checkEviction({ info })).toEqual({ outcome: 'unfit', policy: 'allkeys-lru' });
    expect(unfitForQueues('allkeys-lru')).toMatchObject({ code: 'config_invalid', field: 'QUEUE_REDIS_URL' });
    expect(unfitForQueues('allkeys-lru').remedy).toMatch('noeviction');
  });

  it('accepts a server that never evicts', async () => {
    const info = async () => 'maxmemory_policy:noeviction\r\n';
    expect(await checkEviction({ info })).toEqual({ outcome: 'fit' });
  });

  it('does not reject a server that does not report its policy', async () => {
    const info = async () => Promise.reject(new Error('NOPERM this user has no permissions'));
    expect(await checkEviction({ info })).toMatchObject({ outcome: 'unknown' });
  });
});
