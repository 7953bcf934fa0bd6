import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, expect, inject, test } from 'vitest';
import type { ServerConnection } from './connection.ts';
import { createKeys, userKeyOf } from './keys.ts';
import { connectTo } from './redis.fixture.ts';
import { createRefreshWindows } from './refresh-windows.ts';

const prefix = `windows-${randomUUID()}`;
let connection: ServerConnection;
beforeAll(async () => {
  ({ connection } = await connectTo(inject('redisUrl')));
});
afterAll(() => connection.close());

const keyOf = (userId: string) => createKeys(prefix).refreshWindow(userKeyOf(userId), 'p');

test('a window is taken once, by any caller; later callers get its remaining time', async () => {
  const [one, other] = [createRefreshWindows({ connection, prefix }), createRefreshWindows({ connection, prefix })];
  const [first, second] = await Promise.all([one.take('p', ['1', '2'], 60_000), other.take('p', ['2', '1'], 60_000)]);
  const taken = [...first, ...second];
  expect(taken.filter((waitMs) => waitMs === 0)).toHaveLength(2);
  for (const waitMs of taken.filter((ms) => ms > 0)) expect(waitMs).toBeLessThanOrEqual(60_000);
  expect(await one.take('other', ['1'], 60_000)).toEqual([0]);
});

test('each user has a window, even with more users than fit into a call', async () => {
  const userIds = Array.from({ length: 600 }, (_, i) => `many-${i}`);
  const windows = createRefreshWindows({ connection, prefix });
  expect(new Set(await windows.take('p', userIds, 60_000))).toEqual(new Set([0]));
  const again = await windows.take('p', userIds, 60_000);
  expect(again).toHaveLength(600);
  expect(Math.min(...again)).toBeGreaterThan(0);
});

test('a window ends after its time; a key without an expiry, or of another type, gets one', async () => {
  const windows = createRefreshWindows({ connection, prefix });
  await windows.take('p', ['ends'], 60_000);
  await connection.redis.del(keyOf('ends'));
  expect(await windows.take('p', ['ends'], 60_000)).toEqual([0]);
  await connection.redis.hset(keyOf('odd'), 'a', 'b');
  expect(await windows.take('p', ['odd'], 60_000)).toEqual([60_000]);
  expect(await connection.redis.pttl(keyOf('odd'))).toBeGreaterThan(0);
});
