/** A change of a watched table takes effect with its COMMIT, without an event. A change of another table does not. */
import { unwatchSource, watchSource } from '@tandem/offline-store/sources/watch-source';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { certified } from './certified.fixture.ts';
import { adoptCounts, COUNT } from './counts.fixture.ts';
import { type Api, createDeployment, type Deployment } from './deployment.fixture.ts';
import { until } from './until.fixture.ts';

const USERS = 400;
const BULK = 100;
let deployment: Deployment;
let apis: readonly Api[];

beforeAll(async () => {
  deployment = await createDeployment();
  // The test checks answers, not their time, so it allows for a busy machine.
  await adoptCounts(deployment.pool, { users: USERS, freshness: { liveTimeoutMs: 20_000 } });
  apis = [await deployment.startApi(), await deployment.startApi()];
  const worker = await deployment.startWorker();
  const [api] = apis;
  if (!api) throw new Error('no API runs');
  await deployment.runEveryone(api);
  worker.kill('SIGTERM');
  expect(await worker.ended).toBe(0);
});
afterAll(() => deployment?.close());

/** Expects these answers of every API. Returns their reasons. */
async function expectAnswers(user: string, expected: object): Promise<readonly string[]> {
  const answers = await Promise.all(apis.map(({ client }) => certified(() => client.predict(COUNT, user))));
  for (const { answer } of answers) expect(answer).toMatchObject(expected);
  return answers.map(({ answer }) => answer.reason);
}

/** Waits until every API finds a stored prediction of the user, because an API may store it after it has answered. */
async function untilStored(user: string): Promise<void> {
  const read = ({ client }: Api) => certified(() => client.predict(COUNT, user, { onlyIfCached: true }));
  await until(`a prediction of user ${user} is stored`, () => Promise.all(apis.map(read)));
}

const change = (users: string) =>
  deployment.pool.query(`update counts set changes = changes + 1 where user_id ${users}`);
const fresh = (score: number) => ({ reason: 'fresh', prediction: { score } });

it('without a watch, a change has no effect', async () => {
  await expectAnswers('1', { ...fresh(0), source: 'batch' });
  await change('= 1');
  await expectAnswers('1', { ...fresh(0), source: 'batch' });
});

it('with a watch, every API answers from the change on, for one user and in bulk, until the watch is removed', async () => {
  const request = { table: 'counts', key: 'user_id', columns: null, predictors: [COUNT], actor: 'test' };
  await watchSource(deployment.pool, { ...request, maxUsers: BULK });
  await expectAnswers('2', { ...fresh(0), source: 'batch' });
  await change('= 2');
  await expectAnswers('2', {
    source: 'live',
    contextVersion: 1,
    predictedFromContextVersion: 1,
    prediction: { score: 1 },
  });
  await expectAnswers('3', { ...fresh(0), source: 'batch' });
  // No context version rises. All stored predictions are stale, also live ones.
  await change(`> ${USERS - BULK - 1}`);
  await expectAnswers(String(USERS), { source: 'live', contextVersion: 0, prediction: { score: 1 } });
  await expectAnswers('2', { source: 'live', contextVersion: 1, prediction: { score: 1 } });
  const reasons = await expectAnswers('3', { source: 'live', contextVersion: 0, prediction: { score: 0 } });
  // An API that reads later may find the prediction that the other API has stored.
  expect(reasons).toContain('context_newer');
  await Promise.all(['3', String(USERS)].map(untilStored));
  await expectAnswers(String(USERS), { source: 'live', reason: 'fresh', prediction: { score: 1 } });
  await unwatchSource(deployment.pool, 'counts', 'test');
  await change('= 3');
  await expectAnswers('3', { source: 'live', reason: 'fresh', prediction: { score: 0 } });
  expect(deployment.wire.violations).toEqual([]);
});
