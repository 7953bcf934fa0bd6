/** Redis hangs, dies, forgets, and comes back with what it knew long ago, under readers and writers. */

import { Redis } from 'ioredis';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { type Audience, startAudience } from './audience.fixture.ts';
import { adoptCounts, COUNT } from './counts.fixture.ts';
import { type Api, createDeployment, type Deployment } from './deployment.fixture.ts';
import { seededRandom } from './seed.fixture.ts';
import { until } from './until.fixture.ts';

const USERS = 2_000;
/** Users of whom nobody sends an event. */
const CALM = '1999';

let deployment: Deployment;

beforeAll(async () => {
  deployment = await createDeployment();
  await adoptCounts(deployment.pool, { users: USERS });
});
afterAll(() => deployment?.close());

it('reads stay right whatever Redis does, acknowledged events count, and Redis fills again by itself', async () => {
  const { redis, pool, wire } = deployment;
  const random = seededRandom('lost Redis');
  const api = await deployment.startApi();
  await deployment.startWorker();
  await deployment.runEveryone(api);
  await untilHitInRedis(api);
  const audience = startAudience({ pool, wire, urls: [api.url], users: USERS, random });
  await untilMore(audience);
  const old = await redis.copyData();
  const generation = await deployment.runEveryone(api);
  await untilMore(audience);

  redis.signal('SIGSTOP');
  await untilMore(audience);
  await redis.end('SIGKILL');
  await untilMore(audience);
  await redis.start();
  await untilHitInRedis(api, generation);

  await flush(redis.url);
  await untilMore(audience);
  await untilHitInRedis(api, generation);

  await redis.end('SIGKILL');
  await old.restore();
  await redis.start();
  await untilMore(audience);
  await untilHitInRedis(api, generation);

  await audience.stop();
  expect(audience.violations).toEqual([]);
  expect(wire.violations).toEqual([]);
  // Postgres answered all along: nobody had to be refused.
  expect(audience.seen).toMatchObject({ unreachable: 0 });
});

/** Enough reads and acknowledged events to have met what happens now. */
async function untilMore({ seen }: Audience): Promise<void> {
  const { fresh, acknowledged } = seen;
  await until('reads and events go on', () => seen.fresh > fresh + 150 && seen.acknowledged > acknowledged + 30);
}

/** A user without events is found fresh in Redis' own copy of the generation. */
async function untilHitInRedis({ client }: Api, generation?: string): Promise<void> {
  await until('the generation is in Redis', async () => {
    const { candidates } = await client.explanation(COUNT, CALM);
    return candidates.some(
      (one) =>
        one.store === 'redis' &&
        one.layer === 'generation' &&
        one.state === 'fresh' &&
        (generation === undefined || one.generation === generation),
    );
  });
  const { answer, cacheStatus } = await client.predict(COUNT, CALM);
  expect(answer).toMatchObject({ source: 'batch', reason: 'fresh' });
  expect(cacheStatus).toBe('tandem; hit');
}

async function flush(url: string): Promise<void> {
  const connection = new Redis(url);
  await connection.flushall();
  connection.disconnect();
}
