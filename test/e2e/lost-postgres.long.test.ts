/** Without Postgres no answer is fresh and no event is acknowledged. When it returns, the service continues. */
import { ProblemError } from '@tandem/transport/client-errors';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { type Audience, startAudience } from './audience.fixture.ts';
import { adoptCounts, COUNT } from './counts.fixture.ts';
import { type Api, createDeployment, type Deployment } from './deployment.fixture.ts';
import { seededRandom } from './seed.fixture.ts';
import { until } from './until.fixture.ts';

const USERS = 20_000;
const CHUNK_SIZE = 100;
const ROUNDS = 2;

let deployment: Deployment;

beforeAll(async () => {
  deployment = await createDeployment({ ownPostgres: true });
  await adoptCounts(deployment.pool, { users: USERS, batch: { chunkSize: CHUNK_SIZE } });
});
afterAll(() => deployment?.close());

it('while Postgres is down, no answer is fresh and no event is acknowledged; then the service recovers automatically', async () => {
  const { pool, wire, postgres } = deployment;
  if (!postgres) throw new Error('the test has no separate Postgres');
  const random = seededRandom('lost Postgres');
  const chunksARound = USERS / CHUNK_SIZE / ROUNDS;
  const moments = Array.from({ length: ROUNDS }, (_, round) => Math.floor((round + random()) * chunksARound));
  const api = await deployment.startApi();
  const worker = await deployment.startWorker();
  await deployment.runEveryone(api);
  const audience = startAudience({ pool, wire, urls: [api.url], users: USERS, random });
  await untilFresh(audience);
  const { id } = await api.client.runs.start({ predictor: COUNT, scope: 'all' });

  for (const at of moments) {
    await until(`${at} chunks are committed`, async () => (await api.client.runs.show(id)).chunksCommitted >= at);
    await postgres.end('SIGQUIT');
    audience.setFreshAllowed(false);
    await untilUnverified(audience);
    await expectNothingAcknowledged(api);
    audience.setFreshAllowed(true);
    await postgres.start();
    await untilFresh(audience);
  }
  const run = await until('the run has ended', async () => {
    const found = await api.client.runs.show(id).catch(() => null);
    return found?.finishedAt ? found : null;
  });
  await audience.stop();
  expect(run).toMatchObject({ state: 'done', usersScored: USERS, usersFailed: 0 });
  expect([api, worker].map((program) => program.hasEnded())).toEqual([false, false]);
  expect(audience.violations).toEqual([]);
  expect(wire.violations).toEqual([]);
});

async function untilFresh({ seen }: Audience): Promise<void> {
  const { fresh, acknowledged } = seen;
  await until('reads are fresh and events are acknowledged', () => {
    return seen.fresh > fresh + 100 && seen.acknowledged > acknowledged + 10;
  });
}

async function untilUnverified({ seen }: Audience): Promise<void> {
  const { stale, refused } = seen;
  await until('reads continue without Postgres', () => seen.stale > stale + 50 && seen.refused > refused + 5);
}

async function expectNothingAcknowledged({ client }: Api): Promise<void> {
  const refusal = await client.sendEvents([{ subject: '1', type: 'changed' }]).catch((error: unknown) => error);
  expect(refusal).toBeInstanceOf(ProblemError);
  expect(refusal).toMatchObject({ status: 503, code: 'unavailable', retryAfter: expect.any(Number) });
}
