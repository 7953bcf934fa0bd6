/** The queue holds only hints. Postgres holds the work, which is also done without hints. */
import { Redis } from 'ioredis';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { adoptCounts, COUNT } from './counts.fixture.ts';
import { type Api, createDeployment, type Deployment } from './deployment.fixture.ts';
import { until } from './until.fixture.ts';

const USERS = 10_000;
const CHUNK_SIZE = 100;
/** A schedule with one slot a year. A slot is due only after the test sets an earlier time of adoption. */
const YEARLY = '0 0 1 1 *';

let deployment: Deployment;
let queueUrl: string;

beforeAll(async () => {
  deployment = await createDeployment();
  await adoptCounts(deployment.pool, { users: USERS, batch: { chunkSize: CHUNK_SIZE, schedule: YEARLY } });
  queueUrl = `${deployment.redis.url}/1`;
});
afterAll(() => deployment?.close());

it('a run finishes although its queue is flushed repeatedly, and a schedule still fires', async () => {
  const { pool, wire } = deployment;
  const api = await deployment.startApi({ environment: { QUEUE_REDIS_URL: queueUrl } });
  await deployment.startWorker({ QUEUE_REDIS_URL: queueUrl });
  const { id } = await api.client.runs.start({ predictor: COUNT, scope: 'all' });
  for (const at of [0, 20]) {
    await until(`${at} chunks are committed`, async () => (await api.client.runs.show(id)).chunksCommitted >= at);
    await flush();
  }
  const before = await api.client.runs.show(id);
  expect(before.finishedAt).toBeNull();
  expect(await ended(api, id)).toMatchObject({ state: 'done', usersScored: USERS });

  await flush();
  // Now the schedule seems to have been adopted two years ago, so its newest slot was missed.
  await pool.query(`update tandem.predictors set updated_at = updated_at - interval '2 years'`);
  const scheduled = await until('a scheduled run exists', async () => {
    const { runs } = await api.client.runs.list({ predictor: COUNT });
    return runs.find((run) => run.reason === 'schedule');
  });
  expect(scheduled.scheduledFor).toMatch(/-01-01T00:00:00.000Z$/);
  expect(await ended(api, scheduled.id)).toMatchObject({ state: 'done', usersScored: USERS, generation: '2' });
  const slots = (await api.client.runs.list({ predictor: COUNT })).runs.filter((run) => run.scheduledFor !== null);
  expect(slots).toHaveLength(1);
  expect(wire.violations).toEqual([]);
});

function ended({ client }: Api, id: string) {
  return until('the run has ended', async () => {
    const run = await client.runs.show(id);
    return run.finishedAt === null ? null : run;
  });
}

async function flush(): Promise<void> {
  const connection = new Redis(queueUrl);
  await connection.flushdb();
  connection.disconnect();
}
