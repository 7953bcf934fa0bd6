import { createComparison } from '@tandem/prediction/reports/compare-generations';
import { afterAll, beforeAll, expect, inject, test } from 'vitest';
import { transaction } from '../sql/database.ts';
import { indexPartition } from '../sql/partition.ts';
import { createTestDatabase, type TestDatabase } from '../store.fixture.ts';
import { canSamplePages } from './generation-reports-compare.ts';
import { FIELD, fillGeneration } from './generation-reports-copy.fixture.ts';
import { joinGenerations } from './generation-reports-copy.ts';

let database: TestDatabase;
beforeAll(async () => {
  database = await createTestDatabase(inject('databaseUrl'), inject('templateDatabase'));
});
afterAll(() => database?.drop());

const VERSION = { query: { sql: 'select 1 as user_id', columns: [], asOf: null, overlayForMs: null } };

async function compare(before: string, now: string, byPages: boolean) {
  const comparison = createComparison({ before: [FIELD], now: [FIELD], sample: [], decision: null, segments: [] });
  await joinGenerations(
    database.pool,
    {
      ...{ before: { id: before, baseId: null }, now, isOfSome: false, version: VERSION, segments: [] },
      ...{ oneIn: 10, byPages, timeoutMs: 30_000, signal: new AbortController().signal },
    },
    comparison.add,
  );
  return comparison.figures();
}

test('one in a given number of users is compared, with the same users on both sides', { timeout: 60_000 }, async () => {
  const [before, now] = ['55555555-5555-5555-5555-555555555555', '66666666-6666-6666-6666-666666666666'];
  await fillGeneration(database.pool, before, 10_000, 0);
  await fillGeneration(database.pool, now, 10_000, 5);
  const { users, outputs } = await compare(before, now, false);
  expect(users).toMatchObject({ added: 0, gone: 0, both: users.before });
  // The sample has a tenth of 10,000 users, with a standard deviation of 30.
  expect(Math.abs(users.both - 1_000)).toBeLessThan(150);
  expect(outputs).toMatchObject([{ meanDelta: 5 }]);
});

test('pages are sampled only from generations that hold all users', () => {
  const sampled = { oneIn: 10, baseId: null, isOfSome: false };
  expect(canSamplePages(sampled)).toBe(true);
  expect(canSamplePages({ ...sampled, oneIn: 1 })).toBe(false);
  expect(canSamplePages({ ...sampled, baseId: 'base' })).toBe(false);
  expect(canSamplePages({ ...sampled, isOfSome: true })).toBe(false);
});

test('a sample of pages is compared with new and missing users', {
  timeout: 60_000,
}, async () => {
  const [all, fewer] = ['77777777-7777-7777-7777-777777777777', '88888888-8888-8888-8888-888888888888'];
  await fillGeneration(database.pool, all, 60_000, 0);
  await fillGeneration(database.pool, fewer, 30_000, 5);
  for (const id of [all, fewer]) await transaction(database.pool, (db) => indexPartition(db, id, 30_000));
  const forwards = await compare(all, fewer, true);
  const backwards = await compare(fewer, all, true);
  for (const { users } of [forwards, backwards]) {
    // The sample has a tenth of 30,000 users, on about 300 pages.
    expect(Math.abs(users.both - 3_000)).toBeLessThan(2_000);
  }
  expect(forwards).toMatchObject({ users: { added: 0, gone: expect.any(Number) }, outputs: [{ meanDelta: 5 }] });
  expect(backwards).toMatchObject({ users: { gone: 0, added: expect.any(Number) }, outputs: [{ meanDelta: -5 }] });
  for (const missing of [forwards.users.gone, backwards.users.added]) {
    expect(Math.abs(missing - 3_000)).toBeLessThan(2_000);
  }
});
