/** A rollback applies to the next read, despite data in Redis, in another process's memory or in a run in progress. */
import { afterAll, beforeAll, expect, it } from 'vitest';
import { startAudience } from './audience.fixture.ts';
import { certified } from './certified.fixture.ts';
import { adoptCounts, COUNT } from './counts.fixture.ts';
import { type Api, createDeployment, type Deployment, PATIENT } from './deployment.fixture.ts';
import { seededRandom } from './seed.fixture.ts';
import { until } from './until.fixture.ts';

const USERS = 2_000;
/** A user with a live answer from before the rollback, and a user scored by a partial run. */
const LIVE = '1601';
const PARTIAL = '1602';
/** Users that the audience does not read: its `no-cache` reads would answer them live. */
const READ = ['1600', '1800', '2000'];
const AUDIENCE = 1_500;

let deployment: Deployment;
let apis: [Api, Api];

beforeAll(async () => {
  deployment = await createDeployment();
  // The time limit of a live read allows for a busy machine.
  const freshness = { liveTimeoutMs: 20_000 };
  await adoptCounts(deployment.pool, { users: USERS, freshness, batch: { chunkSize: 50 } });
  apis = [await deployment.startApi(), await deployment.startApi()];
});
afterAll(() => deployment?.close());

/**
 * Expects that every API answers from this generation. All users change before each run, so the score identifies it.
 */
async function expectInForce(generation: string): Promise<void> {
  const answers = await Promise.all(
    apis.flatMap(({ client }) => READ.map((userId) => certified(() => client.predict(COUNT, userId)))),
  );
  for (const { answer } of answers) {
    expect(answer).toMatchObject({ source: 'batch', generation, prediction: { score: Number(generation) } });
  }
}

it('a rollback applies to the next read of every API, also if Redis stops right after it, and during a run', async () => {
  const { pool, redis, wire } = deployment;
  const [first, second] = apis;
  // Without re-scoring: it could answer the user of the partial run before the run does.
  const worker = await deployment.startWorker({ REFRESH_SHARE: '0' });
  const changeEveryone = () => pool.query('update counts set changes = changes + 1');
  for (const generation of ['1', '2']) {
    await changeEveryone();
    expect(await deployment.runEveryone(first)).toBe(generation);
    await expectInForce(generation);
  }
  await leaveOverlays(first);

  expect(await first.client.rollback(COUNT)).toMatchObject({ from: { generation: '2' }, to: { generation: '1' } });
  await expectInForce('1');
  // Overlay entries from before the rollback have the old overlay floor, so reads run the model.
  for (const { client } of apis) {
    for (const userId of [LIVE, PARTIAL]) {
      const { answer } = await certified(() => client.predict(COUNT, userId));
      expect(answer).toMatchObject({ source: 'live', predictedFromContextVersion: 1, prediction: { score: 2 } });
    }
  }

  await second.client.rollback(COUNT, 2);
  redis.signal('SIGSTOP');
  await expectInForce('2');
  // Redis cannot confirm it, so the answer says that it is committed.
  await expect(first.client.rollback(COUNT, 1)).rejects.toMatchObject({
    status: 504,
    code: 'not_confirmed',
    message: expect.stringContaining('The change is committed'),
  });
  await expectInForce('1');
  redis.signal('SIGCONT');
  await expectInForce('1');

  await changeEveryone();
  const { id } = await first.client.runs.start({ predictor: COUNT, scope: 'all' });
  const audience = startAudience({
    ...{ pool, wire, users: AUDIENCE, random: seededRandom('rollback') },
    urls: apis.map(({ url }) => url),
    writers: 1,
  });
  await until('half of the run is done', async () => (await first.client.runs.show(id)).chunksCommitted > 5);
  worker.kill('SIGSTOP');
  await second.client.rollback(COUNT, 2);
  await expectInForce('2');
  worker.kill('SIGCONT');
  for await (const _ of first.client.runs.watch(id));
  // A run that was requested before the rollback does not undo it.
  await expectInForce('2');
  await audience.stop();
  expect(audience.violations).toEqual([]);
  expect(wire.violations).toEqual([]);
});

/** Answers one user live and scores one by a partial run, both above the current generation. */
async function leaveOverlays({ client }: Api): Promise<void> {
  const events = [LIVE, PARTIAL].map((subject) => ({ subject, type: 'changed' }));
  await client.sendEvents(events, PATIENT);
  const { id } = await client.runs.start({ predictor: COUNT, scope: { userIds: [PARTIAL] } });
  for await (const _ of client.runs.watch(id));
  const [live, partial] = [LIVE, PARTIAL].map((userId) => certified(() => client.predict(COUNT, userId)));
  expect((await live)?.answer).toMatchObject({ source: 'live' });
  expect((await partial)?.answer).toMatchObject({ source: 'batch', generation: null });
}
