import { expect, it } from 'vitest';
import { TandemError } from './errors.ts';
import { inParts } from './read-in-parts.ts';
import { PLAIN_READ } from './read-options.ts';

const USERS = Array.from({ length: 250 }, (_, i) => String(i));
/** Each user's error stands for an answer, and names the user. */
const resultOf = (userId: string) => new TandemError('unknown_user', userId);

function createRead() {
  const asked: (readonly string[])[] = [];
  const read = inParts(async (_, userIds) => {
    asked.push(userIds);
    if (userIds.includes('failing')) throw new TandemError('unknown_predictor', 'failed');
    return userIds.map(resultOf);
  });
  return { asked, read: async (userIds: readonly string[]) => (await read('p', userIds, PLAIN_READ)).map(String) };
}

it('reads many users in parts, and returns their results in order', async () => {
  const { asked, read } = createRead();
  expect(await read(USERS)).toEqual(USERS.map((userId) => String(resultOf(userId))));
  expect(asked.map(({ length }) => length)).toEqual([100, 100, 50]);
});

it('reads smaller parts, one at a time, after a read of few users', async () => {
  let [running, most, time] = [0, 0, 0];
  let sizes: number[] = [];
  const read = inParts(
    async (_, userIds) => {
      sizes.push(userIds.length);
      most = Math.max(most, ++running);
      await Promise.resolve();
      running--;
      return userIds.map(resultOf);
    },
    () => time,
  );
  await read('p', ['1'], PLAIN_READ);
  await read('p', USERS, PLAIN_READ);
  expect({ sizes, most }).toEqual({ sizes: [1, 50, 50, 50, 50, 50], most: 1 });
  time = 1_000;
  sizes = [];
  await read('p', USERS, PLAIN_READ);
  expect({ sizes, most }).toEqual({ sizes: [100, 100, 50], most: 3 });
});

it('asks once for a user who occurs several times, also in different parts', async () => {
  const { asked, read } = createRead();
  const userIds = [...USERS, '0', '249', '0'];
  expect(await read(userIds)).toEqual(userIds.map((userId) => String(resultOf(userId))));
  expect(asked.flat().toSorted()).toEqual(USERS.toSorted());
});

it('leaves a read of few users whole', async () => {
  const { asked, read } = createRead();
  await read(['1', '1', '2']);
  expect(asked).toEqual([['1', '1', '2']]);
});

it('fails if a part fails', async () => {
  await expect(createRead().read([...USERS, 'failing'])).rejects.toMatchObject({ code: 'unknown_predictor' });
});
