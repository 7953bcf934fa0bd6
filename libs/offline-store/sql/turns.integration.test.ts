import { afterAll, beforeAll, beforeEach, expect, inject, test } from 'vitest';
import { createTestDatabase, type TestDatabase } from '../store.fixture.ts';
import { createTurns } from './turns.ts';

let database: TestDatabase;
beforeAll(async () => {
  database = await createTestDatabase(inject('databaseUrl'), inject('templateDatabase'));
});
beforeEach(() => database.pool.query('delete from tandem.turns'));
afterAll(() => database.drop());

const HOURLY = { everyMs: 3_600_000, leaseMs: 60_000 };
const take = (work: () => Promise<unknown> = async () => 'done') =>
  createTurns(database.pool).take('test', HOURLY, work);
const pass = (time: string) => database.pool.query('update tandem.turns set due_at = due_at - $1::interval', [time]);

test('of several workers one does the work, and none does it again before it is due', async () => {
  const results = await Promise.all([take(), take(), take()]);
  expect(results.filter((result) => result === 'done')).toHaveLength(1);
  expect(await take()).toBeUndefined();
  await pass('61 min');
  expect(await take()).toBe('done');
});

test('the turn of a failed worker is free immediately; the turn of a killed worker is free when its lease expires', async () => {
  await expect(take(() => Promise.reject(new Error('no luck')))).rejects.toThrow('no luck');
  const { promise: never } = Promise.withResolvers<void>();
  let began = 0;
  const hang = () => {
    began++;
    return never;
  };
  void take(hang);
  await expect.poll(() => began).toBe(1);
  expect(await take()).toBeUndefined();
  await pass('61 s');
  expect(await take()).toBe('done');
});

test('a clock that is set back does not delay a turn', async () => {
  await take();
  await pass('-2 h');
  expect(await take()).toBe('done');
});
