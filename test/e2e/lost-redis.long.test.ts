/** Redis hangs, is killed, loses data, and returns with old data, under readers and writers. */

import { Redis } from 'ioredis';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { startAudience } from './audience.fixture.ts';
import { adoptCounts } from './counts.fixture.ts';
import { createDeployment, type Deployment } from './deployment.fixture.ts';
import { untilHitInRedis, untilMore } from './redis-hits.fixture.ts';
import { seededRandom } from './seed.fixture.ts';

const USERS = 2_000;
/** The audience reads other users than the calm ones: its `no-cache` reads would answer these live. */
const AUDIENCE = 1_900;
/** Users without events. */
const CALM = ['1999'];

let deployment: Deployment;

beforeAll(async () => {
  deployment = await createDeployment();
  await adoptCounts(deployment.pool, { users: USERS });
});
afterAll(() => deployment?.close());

it('answers stay right through failures of Redis, acknowledged events count, and Redis is refilled automatically', async () => {
  const { redis, pool, wire } = deployment;
  const random = seededRandom('lost Redis');
  const api = await deployment.startApi();
  await deployment.startWorker();
  await deployment.runEveryone(api);
  await untilHitInRedis(api, CALM);
  const audience = startAudience({ pool, wire, urls: [api.url], users: AUDIENCE, random });
  await untilMore(audience);
  const old = await redis.copyData();
  const generation = await deployment.runEveryone(api);
  await untilMore(audience);

  redis.signal('SIGSTOP');
  await untilMore(audience);
  await redis.end('SIGKILL');
  await untilMore(audience);
  await redis.start();
  await untilHitInRedis(api, CALM, generation);

  await flush(redis.url);
  await untilMore(audience);
  await untilHitInRedis(api, CALM, generation);

  await redis.end('SIGKILL');
  await old.restore();
  await redis.start();
  await untilMore(audience);
  await untilHitInRedis(api, CALM, generation);

  await audience.stop();
  expect(audience.violations).toEqual([]);
  expect(wire.violations).toEqual([]);
  // Postgres answered all the time, so no read was rejected.
  expect(audience.seen).toMatchObject({ unreachable: 0 });
});

async function flush(url: string): Promise<void> {
  const connection = new Redis(url);
  await connection.flushall();
  connection.disconnect();
}
