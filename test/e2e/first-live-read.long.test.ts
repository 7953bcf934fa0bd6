/** A live read after minutes without one finds its connections as warm as the first one after a start. */
import { afterAll, beforeAll, expect, it } from 'vitest';
import { COUNT } from './counts.fixture.ts';
import type { Deployment } from './deployment.fixture.ts';
import { createSlowAtFirst, expectFirstReadsInTime } from './slow-at-first.fixture.ts';
import { until } from './until.fixture.ts';

let deployment: Deployment;
beforeAll(async () => {
  deployment = await createSlowAtFirst();
});
afterAll(() => deployment?.close());

it.each([1, 2, 3])('the first two live reads, at once, are in time: start %i', () =>
  expectFirstReadsInTime(deployment),
);

/** Longer than an idle connection above the least number is kept. */
const QUIET_MS = 65_000;

it('a live read after a quiet minute is in time', async () => {
  const { client } = await deployment.startApi();
  const quietUntil = Date.now() + QUIET_MS;
  await until('the minute is over', () => Date.now() > quietUntil, QUIET_MS * 2);
  const { answer } = await client.predict(COUNT, '3', { noCache: true });
  expect(answer).toMatchObject({ source: 'live', reason: 'requested' });
});
