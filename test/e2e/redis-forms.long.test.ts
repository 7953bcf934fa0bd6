/**
 * Tests the whole product, under readers and writers, on three forms of Redis. In a Redis Cluster for cache and queue,
 * primaries end and return and slots move. A primary with sentinels fails over. With TLS, the user has few rights.
 */

import { type RedisCluster, startRedisCluster } from '@tandem/testing/redis-cluster';
import { startSecuredRedis } from '@tandem/testing/redis-secured';
import { startRedisSentinel } from '@tandem/testing/redis-sentinel';
import type { RedisServer } from '@tandem/testing/redis-servers';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { type Audience, startAudience } from './audience.fixture.ts';
import { adoptCounts } from './counts.fixture.ts';
import { createDeployment, type Deployment } from './deployment.fixture.ts';
import { untilHitInRedis, untilMore } from './redis-hits.fixture.ts';
import { seededRandom } from './seed.fixture.ts';

const USERS = 2_000;
/** The audience reads other users than the calm ones: its `no-cache` reads would answer these live. */
const AUDIENCE = 1_800;
/** Users without events, whose buckets are on all primaries. */
const CALM = Array.from({ length: 12 }, (_, i) => String(1_900 + i));

let deployment: Deployment;
let servers: Pick<RedisCluster, 'stop'>;

beforeEach(async () => {
  deployment = await createDeployment();
  await adoptCounts(deployment.pool, { users: USERS });
});
afterEach(async () => {
  await deployment?.close();
  await servers?.stop();
});

/** Starts an API and a worker on these servers, loads a generation, and starts readers and writers. */
async function start(name: string, url: string, more: Readonly<Record<string, string>> = {}) {
  const { pool, wire } = deployment;
  const environment = { REDIS_URL: url, ...more };
  const api = await deployment.startApi({ environment });
  await deployment.startWorker(environment);
  await deployment.runEveryone(api);
  await untilHitInRedis(api, CALM);
  const audience = startAudience({ pool, wire, urls: [api.url], users: AUDIENCE, random: seededRandom(name) });
  await untilMore(audience);
  return { api, audience };
}

async function expectNothingWrong(audience: Audience): Promise<void> {
  await audience.stop();
  expect(audience.violations).toEqual([]);
  expect(deployment.wire.violations).toEqual([]);
  expect(audience.seen).toMatchObject({ unreachable: 0 });
}

it('with a cluster, answers stay right through failovers and moved slots, and runs continue', async () => {
  const cluster = await startRedisCluster();
  servers = cluster;
  const { api, audience } = await start('cluster', cluster.url);
  for (const [i, primary] of cluster.nodes.slice(0, 3).entries()) {
    await primary.kill();
    await untilMore(audience);
    await cluster.whenWhole();
    await untilHitInRedis(api, CALM);
    await primary.restart();
    const generation = await deployment.runEveryone(api);
    await untilHitInRedis(api, CALM, generation);
    expect(cluster.nodes[i + 3]?.isRunning()).toBe(true);
  }
  await cluster.whenWhole();
  const [from, to] = cluster.nodes.slice(3) as [RedisServer, RedisServer];
  await cluster.moveSlots(
    from,
    to,
    Array.from({ length: 300 }, (_, i) => i * 10),
  );
  await untilMore(audience);
  const generation = await deployment.runEveryone(api);
  await untilHitInRedis(api, CALM, generation);
  await expectNothingWrong(audience);
});

it('with one cluster for the cache and one for the queue, a primary of each is killed and returns', async () => {
  const cluster = await startRedisCluster();
  const queue = await startRedisCluster();
  servers = { stop: async () => void (await Promise.all([cluster.stop(), queue.stop()])) };
  const { api, audience } = await start('two clusters', cluster.url, { QUEUE_REDIS_URL: queue.url });
  for (const one of [queue, cluster]) {
    const [primary] = one.nodes;
    await primary?.kill();
    await untilMore(audience);
    await one.whenWhole();
    await untilHitInRedis(api, CALM);
    await primary?.restart();
  }
  const generation = await deployment.runEveryone(api);
  await untilHitInRedis(api, CALM, generation);
  await expectNothingWrong(audience);
});

it('with sentinels, answers stay right through a failover, and runs continue', async () => {
  const sentinel = await startRedisSentinel();
  servers = sentinel;
  const { api, audience } = await start('sentinel', sentinel.url);
  await sentinel.primary.kill();
  await untilMore(audience);
  await untilHitInRedis(api, CALM);
  const generation = await deployment.runEveryone(api);
  await untilHitInRedis(api, CALM, generation);
  await expectNothingWrong(audience);
});

it('works with TLS of a private authority, and as a user without administrator rights', async () => {
  const secured = await startSecuredRedis();
  servers = secured;
  const { api, audience } = await start('tls', secured.url, { NODE_EXTRA_CA_CERTS: secured.authority });
  const generation = await deployment.runEveryone(api);
  await untilHitInRedis(api, CALM, generation);
  await expectNothingWrong(audience);
});
