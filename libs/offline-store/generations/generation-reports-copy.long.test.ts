import { createComparison } from '@tandem/prediction/reports/compare-generations';
import { afterAll, beforeAll, expect, inject, test } from 'vitest';
import { createTestDatabase, type TestDatabase } from '../store.fixture.ts';
import { FIELD, fillGeneration } from './generation-reports-copy.fixture.ts';
import { joinGenerations, sampleOutputs } from './generation-reports-copy.ts';

let database: TestDatabase;
beforeAll(async () => {
  database = await createTestDatabase(inject('databaseUrl'), inject('templateDatabase'));
});
afterAll(() => database?.drop());

/** Compares two generations, and returns the cost. */
async function compare(users: number, [before, now]: readonly [string, string]) {
  await fillGeneration(database.pool, before, users, 0);
  await fillGeneration(database.pool, now, users, 5);
  const { signal } = new AbortController();
  const resident = process.memoryUsage.rss();
  const cpu = process.cpuUsage();
  const sample = await sampleOutputs(database.pool, { id: before, baseId: null, users }, { timeoutMs: 60_000, signal });
  const decision = { output: 'rank', threshold: users / 2 };
  const comparison = createComparison({ before: [FIELD], now: [FIELD], sample, decision, segments: ['half'] });
  let most = 0;
  let rows = 0;
  const sql = 'select n as user_id, n % 2 as half from generate_series(1, 1000000) n';
  const version = { query: { sql, columns: [], asOf: null, overlayForMs: null } };
  await joinGenerations(
    database.pool,
    {
      ...{
        before: { id: before, baseId: null },
        now,
        isOfSome: false,
        version,
        segments: ['half'],
        oneIn: 1,
        byPages: false,
      },
      ...{ timeoutMs: 120_000, signal },
    },
    (row) => {
      comparison.add(row);
      if (++rows % 5_000 === 0) most = Math.max(most, process.memoryUsage.rss() - resident);
    },
  );
  const { user, system } = process.cpuUsage(cpu);
  return { comparison, mostMb: most / 1e6, usPerUser: (user + system) / users };
}

test('comparing 200,000 users takes no more memory than a few users, and proportional time', {
  timeout: 180_000,
}, async () => {
  const few = await compare(20_000, ['11111111-1111-1111-1111-111111111111', '22222222-2222-2222-2222-222222222222']);
  const many = await compare(200_000, ['33333333-3333-3333-3333-333333333333', '44444444-4444-4444-4444-444444444444']);
  const { users, outputs, decision, segments } = many.comparison.figures();
  expect(users).toEqual({ before: 200_000, now: 200_000, both: 200_000, added: 0, gone: 0 });
  expect(outputs).toMatchObject([{ meanDelta: 5, p50AbsoluteDelta: 5, p99AbsoluteDelta: 5, changed: 1 }]);
  expect(outputs[0]?.psi).toBeLessThan(1e-4);
  expect(decision).toMatchObject({ up: 5, down: 0 });
  expect(segments[0]?.values.map(({ value, users: { both } }) => [value, both])).toEqual([
    ['0', 100_000],
    ['1', 100_000],
  ]);
  expect(many.comparison.movers()).toHaveLength(20);
  // If rows were kept, they would take at least 100 bytes a user.
  expect(many.mostMb).toBeLessThan(few.mostMb + 15);
  expect(many.usPerUser).toBeLessThan(few.usPerUser * 1.5);
});
