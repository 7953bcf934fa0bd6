import { expect, test } from 'vitest';
import { type LiveOutcome, type LivePredictor, type LiveRequest, OVER_QUOTA, predictWithin } from './live-predictor.ts';

const INFERRED: LiveOutcome = { kind: 'no_features' };

function asked(enabled = true): { request: LiveRequest; live: LivePredictor; users: string[] } {
  const users: string[] = [];
  const readers = ['1', '2', '3'].map((userId) => ({ userId, minVersion: 0, fresh: false }));
  const live: LivePredictor = {
    async predict(request) {
      users.push(...request.readers.map(({ userId }) => userId));
      return new Map(request.readers.map(({ userId }) => [userId, INFERRED]));
    },
  };
  return { request: { readers, enabled } as unknown as LiveRequest, live, users };
}

test.each([
  [undefined, ['1', '2', '3']],
  [9, ['1', '2', '3']],
  [3, ['1', '2', '3']],
  [2, ['1', '2']],
  [0, []],
])('with room for %s, as many are inferred, and the others are told that there is none', async (room, inferred) => {
  const { request, live, users } = asked();
  const quota = room === undefined ? undefined : { take: (wanted: number) => Math.min(wanted, room) };
  const outcomes = await predictWithin(live, request, quota);
  expect(users).toEqual(inferred);
  expect([...outcomes]).toEqual(
    ['1', '2', '3'].map((userId) => [userId, inferred.includes(userId) ? INFERRED : OVER_QUOTA]),
  );
});

test('where nothing is inferred live, nothing is taken', async () => {
  const { request, live } = asked(false);
  let taken = 0;
  await predictWithin(live, request, { take: (wanted) => (taken += wanted) });
  expect(taken).toBe(0);
});
