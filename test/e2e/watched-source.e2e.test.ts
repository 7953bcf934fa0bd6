/** A change of a watched table takes effect with its COMMIT, without an event. A change of another table does not. */
import { unwatchSource, watchSource } from '@tandem/offline-store/sources/watch-source';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { adoptCounts, COUNT } from './counts.fixture.ts';
import { type Api, createDeployment, type Deployment } from './deployment.fixture.ts';

const USERS = 400;
const BULK = 100;
let deployment: Deployment;
let apis: readonly Api[];

beforeAll(async () => {
  deployment = await createDeployment();
  await adoptCounts(deployment.pool, { users: USERS });
  apis = [await deployment.startApi(), await deployment.startApi()];
  const worker = await deployment.startWorker();
  const [api] = apis;
  if (!api) throw new Error('no API runs');
  await deployment.runEveryone(api);
  worker.kill('SIGTERM');
  expect(await worker.ended).toBe(0);
});
afterAll(() => deployment?.close());

async function expectAnswers(user: string, expected: object): Promise<void> {
  const answers = await Promise.all(apis.map(async ({ client }) => (await client.predict(COUNT, user)).answer));
  for (const answer of answers) expect(answer).toMatchObject(expected);
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
  await expectAnswers('3', { source: 'live', reason: 'context_newer', contextVersion: 0, prediction: { score: 0 } });
  await expectAnswers(String(USERS), { source: 'live', reason: 'fresh', prediction: { score: 1 } });
  await unwatchSource(deployment.pool, 'counts', 'test');
  await change('= 3');
  await expectAnswers('3', { source: 'live', reason: 'fresh', prediction: { score: 0 } });
  expect(deployment.wire.violations).toEqual([]);
});
