/** Only a run of all users makes a generation. A run of some users changes only the answers of these users. */
import type { RunScope } from '@tandem/client/wire';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { certified } from './certified.fixture.ts';
import { adoptCounts, COUNT, changeSilently } from './counts.fixture.ts';
import { type Api, createDeployment, type Deployment, PATIENT } from './deployment.fixture.ts';

const USERS = 1_000;
const everyone = Array.from({ length: USERS }, (_, i) => String(i + 1));

let deployment: Deployment;
let api: Api;

beforeAll(async () => {
  deployment = await createDeployment();
  // The time limit of a live read allows for a busy machine.
  const freshness = { liveTimeoutMs: 20_000 };
  await adoptCounts(deployment.pool, { users: USERS, freshness, batch: { chunkSize: 100 } });
  api = await deployment.startApi();
  // Without re-scoring: it would answer changed users before the runs do.
  await deployment.startWorker({ REFRESH_SHARE: '0' });
  await deployment.runEveryone(api);
});
afterAll(() => deployment?.close());

async function change(userIds: readonly string[]): Promise<void> {
  for (const userId of userIds) await changeSilently(deployment.pool, userId);
  const events = userIds.map((subject) => ({ subject, type: 'changed' }));
  await api.client.sendEvents(events, PATIENT);
}

async function run(scope: RunScope): Promise<void> {
  const { id } = await api.client.runs.start({ predictor: COUNT, scope });
  for await (const _ of api.client.runs.watch(id));
  expect(await api.client.runs.show(id)).toMatchObject({ state: 'done', usersFailed: 0, generation: null });
}

/** Expects answers from the stores. The named users have the given counts of changes, other users 0. */
async function expectStored(changes: Readonly<Record<string, number>>): Promise<void> {
  const results = await certified(() => api.client.predictMany(COUNT, everyone, { onlyIfCached: true }));
  const told = results.map(({ answer, problem }) => answer && [problem, answer.source, answer.prediction.score]);
  expect(told).toEqual(everyone.map((userId) => [null, 'batch', changes[userId] ?? 0]));
}

it('a run of some users, and a stale run, affect no other user', async () => {
  await expectStored({});
  await change(['2', '3', '1000']);
  await run({ userIds: ['2', '3'] });
  // User 1000 changed and was not scored, so a read runs the model.
  const { answer } = await certified(() => api.client.predict(COUNT, '1000'));
  expect(answer).toMatchObject({ source: 'live', prediction: { score: 1 } });
  await change(['5', '1000', '3']);
  await run('stale');
  await expectStored({ 2: 1, 3: 2, 5: 1, 1000: 2 });
  const [generation, ...others] = await api.client.generations(COUNT);
  expect(generation).toMatchObject({ generation: '1', inForce: true });
  expect(others).toEqual([]);
  expect(deployment.wire.violations).toEqual([]);
});
