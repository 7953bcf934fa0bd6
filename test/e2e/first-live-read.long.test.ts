/** The first live read after a start, or after minutes without one, is as fast as later live reads. */
import { afterAll, beforeAll, expect, it } from 'vitest';
import { COUNT } from './counts.fixture.ts';
import type { Deployment } from './deployment.fixture.ts';
import { createSlowAtFirst, expectFirstReadsInTime, setFirstTime } from './slow-at-first.fixture.ts';
import { until } from './until.fixture.ts';

let deployment: Deployment;
beforeAll(async () => {
  deployment = await createSlowAtFirst();
});
afterAll(() => deployment?.close());

it.each([1, 2, 3])('the first two concurrent live reads are in time: start %i', () =>
  expectFirstReadsInTime(deployment),
);

/** Longer than the pool keeps idle connections above its minimum. */
const QUIET_MS = 65_000;

it('a live read after a minute without reads is in time', async () => {
  const { client } = await deployment.startApi();
  const quietUntil = Date.now() + QUIET_MS;
  await until('the minute is over', () => Date.now() > quietUntil, QUIET_MS * 2);
  const { answer } = await client.predict(COUNT, '3', { noCache: true });
  expect(answer).toMatchObject({ source: 'live', reason: 'requested' });
});

it('an API starts although a feature query never ends, and the log says so', async () => {
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
