import { createComparison } from '@tandem/prediction/reports/compare-generations';
import { afterAll, beforeAll, expect, inject, test } from 'vitest';
import { createTestDatabase, type TestDatabase } from '../store.fixture.ts';
import { FIELD, fillGeneration } from './generation-reports-copy.fixture.ts';
import { joinGenerations } from './generation-reports-copy.ts';

let database: TestDatabase;
beforeAll(async () => {
  database = await createTestDatabase(inject('databaseUrl'), inject('templateDatabase'));
});
afterAll(() => database?.drop());

test('one of so many users is compared, the same ones on both sides', { timeout: 60_000 }, async () => {
  const [before, now] = ['55555555-5555-5555-5555-555555555555', '66666666-6666-6666-6666-666666666666'];
  await fillGeneration(database.pool, before, 10_000, 0);
  await fillGeneration(database.pool, now, 10_000, 5);
  const comparison = createComparison({ before: [FIELD], now: [FIELD], sample: [], decision: null, segments: [] });
  const version = { query: { sql: 'select 1 as user_id', columns: [], asOf: null, overlayForMs: null } };
  await joinGenerations(
    database.pool,
    {
      ...{ before: { id: before, baseId: null }, now, isOfSome: false, version, segments: [], oneIn: 10 },
      ...{ timeoutMs: 30_000, signal: new AbortController().signal },
    },
    comparison.add,
  );
  const { users, outputs } = comparison.figures();
  expect(users).toMatchObject({ added: 0, gone: 0, both: users.before });
  // A tenth of 10,000, with a standard deviation of 30.
  expect(Math.abs(users.both - 1_000)).toBeLessThan(150);
  expect(outputs).toMatchObject([{ meanDelta: 5 }]);
});
