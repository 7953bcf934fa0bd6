import type { ContextEvent, EventStore } from '@tandem/prediction/events/events';
import type pg from 'pg';
import { afterAll, beforeAll, expect, inject, test } from 'vitest';
import { adopt } from '../adopt.ts';
import { insertApiKey, limitApiKey } from '../api-keys.ts';
import { createPool } from '../sql/database.ts';
import { createTestDatabase, type TestDatabase, visitsPredictor } from '../store.fixture.ts';
import { createEventStore } from './events.ts';

let database: TestDatabase;
let pools: pg.Pool[];
/** The event stores of several API processes. */
let stores: EventStore[];
beforeAll(async () => {
  database = await createTestDatabase(inject('databaseUrl'), inject('templateDatabase'));
  await adopt(database.pool, { predictors: [visitsPredictor()], actor: 'test' });
  pools = Array.from({ length: 3 }, () => createPool({ url: database.url, max: 5, applicationName: 'test' }));
  stores = pools.map((pool) => createEventStore(pool, { lockTimeoutMs: 20_000 }));
});
afterAll(async () => {
  for (const pool of pools) await pool.end();
  await database.drop();
});

let users = 1000;
let ids = 0;
const newUsers = (count: number) => Array.from({ length: count }, () => String(++users));
const eventOf = (userId: string): ContextEvent => ({
  ...{ source: 'shop', id: `e${++ids}`, type: 'user.changed', userId, time: null, data: null },
});

async function createKey(newUsersPerDay: number | null): Promise<string> {
  const asked = { name: 'shop', kind: 'live', scopes: ['events:write'], requestsPerSecond: null } as const;
  const key = { ...asked, expiresInMs: null, livePerSecond: null, newUsersPerDay };
  return (await insertApiKey(database.pool, key, 'a pepper of more than thirty-two characters')).id;
}

/** Sends events of the users in one batch. Returns `accepted`, or the problem. */
async function send(key: string | undefined, userIds: readonly string[], process = 0): Promise<unknown> {
  try {
    const results = await stores[process]?.accept(userIds.map(eventOf), key);
    return results?.every(({ status }) => status === 'accepted') ? 'accepted' : results;
  } catch (error) {
    return error;
  }
}

async function countContexts(userIds: readonly string[]): Promise<number> {
  const counted = 'select count(*)::int as n from tandem.user_contexts where user_id = any ($1)';
  return (await database.pool.query(counted, [userIds])).rows[0].n;
}

const REFUSED = expect.objectContaining({ code: 'rate_limited', remedy: expect.stringContaining('Retry-After') });
/** The problem of a batch that no time would let through. */
const TOO_LARGE = expect.objectContaining({ code: 'rate_limited', retryAfter: undefined });

test('a key makes exactly as many users known as its quota, over concurrent batches of several processes', async () => {
  const key = await createKey(50);
  const batches = Array.from({ length: 60 }, () => newUsers(2));
  const answers = await Promise.all(batches.map((batch, i) => send(key, batch, i % 3)));
  expect(answers.filter((answer) => answer === 'accepted')).toHaveLength(25);
  expect(answers.filter((answer) => answer !== 'accepted')).toEqual(Array.from({ length: 35 }, () => REFUSED));
  expect(await countContexts(batches.flat())).toBe(50);
});

test('a large quota, which is counted in slots, is exceeded by no more than the requests that commit at once', async () => {
  const key = await createKey(100_000);
  // In the future, so that nothing of the quota returns during the test.
  const near = `insert into tandem.new_users_of_keys select $1, n, 12490, now() + interval '50 s' from generate_series(0, 7) n`;
  await database.pool.query(near, [key]);
  const batches = Array.from({ length: 90 }, () => newUsers(2));
  const answers = await Promise.all(batches.map((batch, i) => send(key, batch, i % 3)));
  const made = await countContexts(batches.flat());
  expect(made).toBe(2 * answers.filter((answer) => answer === 'accepted').length);
  expect(made).toBeGreaterThanOrEqual(80);
  expect(made).toBeLessThanOrEqual(80 + 7 * 2);
});

test('users known before, a rejected batch and a repeated event use nothing of the quota', async () => {
  const key = await createKey(3);
  const known = newUsers(5);
  expect(await send(undefined, known)).toBe('accepted');
  expect(await send(key, known)).toBe('accepted');
  expect(await send(key, newUsers(4))).toEqual(TOO_LARGE);
  expect(await send(key, ['not canonical', ...newUsers(2)])).toMatchObject({ code: 'invalid_input' });
  expect(await send(key, [...known, ...newUsers(3)])).toBe('accepted');
  expect(await send(key, known)).toBe('accepted');
  expect(await send(key, newUsers(1))).toEqual(REFUSED);
});

test('the quota returns evenly within a day, and a clock that is set back does not hold it up', async () => {
  const key = await createKey(4);
  expect(await send(key, newUsers(4))).toBe('accepted');
  expect(await send(key, newUsers(1))).toMatchObject({ retryAfter: 21_600 });
  const shift = (interval: string) =>
    database.pool.query('update tandem.new_users_of_keys set at = at + $2::interval where key_id = $1', [
      key,
      interval,
    ]);
  await shift('-12 hours');
  expect(await send(key, newUsers(3))).toEqual(REFUSED);
  expect(await send(key, newUsers(2))).toBe('accepted');
  await shift('1 year');
  expect(await send(key, newUsers(1))).toEqual(REFUSED);
  await database.pool.query('update tandem.new_users_of_keys set users = 3 where key_id = $1', [key]);
  expect(await send(key, newUsers(1))).toBe('accepted');
  await shift('-6 hours');
  expect(await send(key, newUsers(1))).toBe('accepted');
});

test('a key without a quota, a sender without a key and events in SQL are not limited', async () => {
  expect(await send(await createKey(null), newUsers(30))).toBe('accepted');
  expect(await send(undefined, newUsers(30))).toBe('accepted');
  const inSql = newUsers(30);
  await database.pool.query('insert into tandem.events (user_id) select unnest($1::text[])', [inSql]);
  expect(await countContexts(inSql)).toBe(30);
});

test('a changed quota applies at once', async () => {
  const key = await createKey(1);
  expect(await send(key, newUsers(2))).toEqual(TOO_LARGE);
  await limitApiKey(database.pool, key, { newUsersPerDay: 2 });
  expect(await send(key, newUsers(2))).toBe('accepted');
});
