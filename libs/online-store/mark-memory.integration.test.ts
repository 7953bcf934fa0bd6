import type { HistoryMark } from '@tandem/prediction/events/notice-loss';
import { afterAll, beforeAll, expect, inject, it } from 'vitest';
import type { OnlineConnection } from './connection.ts';
import { createKeys } from './keys.ts';
import { createMarkMemory } from './mark-memory.ts';
import { connectTo, deleteKeys, randomPrefix } from './redis.fixture.ts';

const MARK: HistoryMark = { past: '0123456789abcdef', seq: 7, mark: '00000000-0000-4000-8000-000000000000' };
const prefix = randomPrefix();
let connection: OnlineConnection;
beforeAll(async () => {
  ({ connection } = await connectTo(inject('redisUrl')));
});
afterAll(async () => {
  await deleteKeys(connection, prefix);
  connection.close();
});

it('remembers the last mark for the next process, and nothing where there is none', async () => {
  const memory = createMarkMemory({ connection, prefix });
  expect(await memory.recall()).toBeNull();
  await memory.keep({ ...MARK, seq: 6 });
  await memory.keep(MARK);
  expect(await createMarkMemory({ connection, prefix }).recall()).toEqual(MARK);
});

it.each(['', 'x', '0123456789abcdef 7', '0123456789abcdef -1 00000000-0000-4000-8000-000000000000'])(
  'what is no mark tells nothing: %j',
  async (text) => {
    await connection.redis.set(createKeys(prefix).historyMark, text);
    expect(await createMarkMemory({ connection, prefix }).recall()).toBeNull();
  },
);
