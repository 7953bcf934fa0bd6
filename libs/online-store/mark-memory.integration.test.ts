import type { HistoryMark } from '@tandem/prediction/events/notice-loss';
import { afterAll, beforeAll, expect, inject, it } from 'vitest';
import { createServerConnection, type ServerConnection } from './connection.ts';
import { createKeys } from './keys.ts';
import { createMarkMemory } from './mark-memory.ts';
import { connectTo, deleteKeys, randomPrefix } from './redis.fixture.ts';

const MARK: HistoryMark = { past: '0123456789abcdef', seq: 7, mark: '00000000-0000-4000-8000-000000000000' };
const prefix = randomPrefix();
let connection: ServerConnection;
beforeAll(async () => {
  ({ connection } = await connectTo(inject('redisUrl')));
});
afterAll(async () => {
  await deleteKeys(connection, prefix);
  connection.close();
});

it('remembers the newest mark for the next process, and returns null without a mark', async () => {
  const memory = createMarkMemory({ connection, prefix });
  const none = await memory.recall();
  expect(none.marks).toEqual([]);
  expect(await none.replace({ ...MARK, seq: 6 })).toBe(true);
  expect(await (await memory.recall()).replace(MARK)).toBe(true);
  expect((await createMarkMemory({ connection, prefix }).recall()).marks).toEqual([MARK]);
});

it('replaces only the recalled mark: of two processes that recalled the same mark, one replaces it', async () => {
  const memory = createMarkMemory({ connection, prefix });
  const [one, other] = [await memory.recall(), await memory.recall()];
  expect(await one.replace({ ...MARK, seq: 8 })).toBe(true);
  expect(await other.replace({ ...MARK, seq: 9 })).toBe(false);
  expect((await memory.recall()).marks).toEqual([{ ...MARK, seq: 8 }]);
  await connection.redis.del(createKeys(prefix).historyMark());
  expect(await one.replace(MARK)).toBe(false);
  expect((await memory.recall()).marks).toEqual([]);
});

it.each(['', 'x', '0123456789abcdef 7', '0123456789abcdef -1 00000000-0000-4000-8000-000000000000', '\u{e9}\u{20ac}'])(
  'a text that is not a mark is ignored and replaced: %j',
  async (text) => {
    await connection.redis.set(createKeys(prefix).historyMark(), text);
    const memory = createMarkMemory({ connection, prefix });
    const recalled = await memory.recall();
    expect(recalled.marks).toEqual([]);
    expect(await recalled.replace(MARK)).toBe(true);
    expect((await memory.recall()).marks).toEqual([MARK]);
  },
);

it('rejects before Redis is connected, instead of returning that there is no mark', async () => {
  const early = createServerConnection({ url: inject('redisUrl'), log: () => {} });
  await expect(createMarkMemory({ connection: early, prefix }).recall()).rejects.toMatchObject({ code: 'unavailable' });
  early.close();
});
