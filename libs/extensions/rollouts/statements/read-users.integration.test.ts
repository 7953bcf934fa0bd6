import type { OutcomeMetric } from '@tandem/freshness/rollout';
import { createReadCountStore } from '@tandem/offline-store/reads/read-demand';
import { createTestDatabase, type TestDatabase } from '@tandem/offline-store/store.fixture';
import { createOutcomeStore } from '@tandem/outcomes/outcome-store';
import { afterAll, beforeAll, beforeEach, expect, inject, test } from 'vitest';
import { findReadUsers } from './read-users.ts';

const DAY_MS = 86_400_000;
const METRIC: OutcomeMetric = {
  ...{ name: 'order', kind: 'binary', windowMs: 7 * DAY_MS, better: 'higher', guardrail: true, minimumEffect: 0.1 },
};
let database: TestDatabase;
beforeAll(async () => {
  database = await createTestDatabase(inject('databaseUrl'), inject('templateDatabase'));
});
beforeEach(() => database.reset());
afterAll(() => database?.drop());

test('the values of read users over the last window are summed for each metric', async () => {
  const userIds = ['1', '2', '3', '4'];
  await createReadCountStore(database.pool).put(userIds.map((userId) => ({ userId, reads: 2, contextVersion: 0 })));
  const sent: [string, number, number][] = [
    ['1', 3, 900],
    ['1', 1, 20],
    ['2', 2, 5],
    ['3', 9, 5],
    ['unread', 1, 5],
  ];
  await createOutcomeStore(database.pool).accept(
    sent.map(([userId, daysAgo, value], no) => ({
      ...{ source: 't', id: `${no}`, userId, name: 'order', value, time: new Date(Date.now() - daysAgo * DAY_MS) },
    })),
  );
  const metrics: OutcomeMetric[] = [METRIC, { ...METRIC, kind: 'sum', cap: 500 }, { ...METRIC, name: 'visit' }];
  const { users, samples } = await findReadUsers(database.pool, metrics, 3 * DAY_MS);
  expect(samples).toEqual([
    { users: 4, sum: 2, sumOfSquares: 2, largest: 1 },
    { users: 4, sum: 505, sumOfSquares: 250_025, largest: 500 },
    { users: 4, sum: 0, sumOfSquares: 0, largest: 0 },
  ]);
  // Two reads each have a half-life of three days: the rate is 2 × ln 2 in three days.
  expect(users).toBeCloseTo(4 * (1 - Math.exp(-2 * Math.LN2)), 1);
});

test('the more metrics, the fewer users are sampled', async () => {
  const counts = Array.from({ length: 12_000 }, (_, i) => ({ userId: `${i}`, reads: 1, contextVersion: 0 }));
  await createReadCountStore(database.pool).put(counts);
  const { samples } = await findReadUsers(database.pool, [METRIC, { ...METRIC, name: 'visit' }], DAY_MS);
  expect(samples.map(({ users }) => users)).toEqual([5_000, 5_000]);
});

test('without read users there is nothing to estimate from', async () => {
  expect(await findReadUsers(database.pool, [METRIC], DAY_MS)).toMatchObject({ users: 0, samples: [{ sum: 0 }] });
});
