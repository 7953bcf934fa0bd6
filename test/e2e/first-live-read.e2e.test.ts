/** The first read that runs the model after a start is as quick as those after it. */
import { afterAll, beforeAll, expect, it } from 'vitest';
import { COUNT } from './counts.fixture.ts';
import type { Deployment } from './deployment.fixture.ts';
import { createSlowAtFirst, expectFirstReadsInTime, setFirstTime } from './slow-at-first.fixture.ts';

let deployment: Deployment;
beforeAll(async () => {
  deployment = await createSlowAtFirst();
});
afterAll(() => deployment?.close());

it('the first two live reads, at once, are in time', () => expectFirstReadsInTime(deployment));

it('a query that never comes to an end keeps no API from starting, and the log says so', async () => {
  await setFirstTime(deployment.pool, 3_600_000);
  const api = await deployment.startApi();
  await expect.poll(async () => (await fetch(`${api.url}/readyz`)).text()).toContain('"status":"ready"');
  const { modelVersionId, error } = await api.logged('reads.not_warmed');
  expect({ modelVersionId, error }).toEqual({
    modelVersionId: expect.stringMatching(/./),
    error: expect.objectContaining({ code: 'unavailable' }),
  });
  expect((await api.client.predict(COUNT, '3')).answer).toMatchObject({ reason: 'fresh' });
});
