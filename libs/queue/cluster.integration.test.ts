/// <reference path="../online-store/cluster-key-slot.d.ts" />
import { randomUUID } from 'node:crypto';
import { silentLog } from '@tandem/telemetry/log';
import { type RedisCluster, startRedisCluster } from '@tandem/testing/redis-cluster';
import calculateSlot from 'cluster-key-slot';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { createQueue, DEFAULT_PREFIX } from './enqueue.ts';
import { createQueueWorker, type Handlers } from './run-worker.ts';

let cluster: RedisCluster;
beforeAll(async () => {
  cluster = await startRedisCluster();
}, 90_000);
afterAll(() => cluster?.stop());

describe('queues on a cluster', () => {
  it('continue automatically after a replica has replaced their primary', async () => {
    const queue = await createQueue({ url: cluster.url, log: silentLog });
    const done = new Set<string>();
    const load: Handlers['load-generation'] = async ({ generationId }) => {
      done.add(generationId);
      return {};
    };
    const nothing = async () => ({});
    const handlers = { 'plan-run': nothing, 'run-chunk': nothing, 'publish-run': nothing, 'load-generation': load };
    const concurrency = { planning: 1, publishing: 1, scoring: 1, loading: 1 };
    const worker = createQueueWorker({
      ...{ url: cluster.url, queue, handlers, concurrency, log: silentLog },
      onDead: (why) => expect.fail(why),
    });
    const work = async () => {
      const generationId = randomUUID();
      await vi.waitUntil(() => queue.enqueue('load-generation', { generationId }), { timeout: 30_000, interval: 100 });
      await vi.waitUntil(() => done.has(generationId), { timeout: 30_000, interval: 20 });
    };
    try {
      await work();
      await cluster.nodes[Math.floor(calculateSlot(DEFAULT_PREFIX) / Math.ceil(16_384 / 3))]?.kill();
      await work();
      expect(await queue.counts()).toMatchObject({ loading: { failed: 0 } });
    } finally {
      await worker.close(1_000);
      await queue.close();
    }
  });

  it('are refused if the address names a node of a cluster like a single server', async () => {
    const node = cluster.nodes.find((one) => one.isRunning());
    const url = cluster.url.replace(/redis\+cluster(:.*@).*/, `redis$1127.0.0.1:${node?.port}`);
    await expect(createQueue({ url, log: silentLog })).rejects.toMatchObject({
      code: 'config_invalid',
      remedy: expect.stringContaining('redis+cluster://'),
    });
  });
});
