/** Runs the service on a database with every hostile default at once. No default of the database changes its limits. */
import { HOSTILE_DEFAULTS, together } from '@tandem/offline-store/hostile-defaults.fixture';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { adoptCounts, COUNT, changeSilently } from './counts.fixture.ts';
import { type Api, createDeployment, type Deployment } from './deployment.fixture.ts';

let deployment: Deployment;
let api: Api;

beforeAll(async () => {
  deployment = await createDeployment({ defaults: together('all', Object.values(HOSTILE_DEFAULTS).flat()) });
  await adoptCounts(deployment.pool, { users: 1_000, batch: { chunkSize: 100 } });
  api = await deployment.startApi();
  await deployment.startWorker();
});
afterAll(() => deployment?.close());

it('a worker scores all users twice; an API answers from the run, live after an event, and with 404 after an erasure', async () => {
  expect(await deployment.runEveryone(api)).toBe('1');
  expect(await deployment.runEveryone(api)).toBe('2');
  expect((await api.client.predict(COUNT, '7')).answer).toMatchObject({ source: 'batch', generation: '2' });
  await changeSilently(deployment.pool, '7');
  await api.client.sendEvents([{ subject: '7', type: 'changed' }]);
  expect((await api.client.predict(COUNT, '7')).answer).toMatchObject({ source: 'live', prediction: { score: 1 } });
  await api.client.eraseUser('7');
  await expect(api.client.predict(COUNT, '7')).rejects.toMatchObject({ status: 404 });
  expect(deployment.wire.violations).toEqual([]);
});
