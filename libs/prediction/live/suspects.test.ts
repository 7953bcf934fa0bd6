import { expect, test } from 'vitest';
import type { Flight } from './live-flights.ts';
import { createSuspects } from './suspects.ts';

const flightOf = (userId: string): Flight => ({
  userId,
  roomTaken: 1,
  isSent: true,
  deadline: 0,
  waiters: [],
  followers: undefined,
});
const flightsOf = (users: number) => Array.from({ length: users }, (_, i) => flightOf(String(i)));
const sizes = (parts: readonly (readonly Flight[])[]) => parts.map(({ length }) => length);

test('a statement leaves out users with a failed query; each of them is read alone after it', () => {
  const suspects = createSuspects();
  const flights = flightsOf(10);
  expect(sizes(suspects.apart(flights))).toEqual([10]);
  suspects.failed('3');
  suspects.failed('7');
  const parts = suspects.apart(flights);
  expect(sizes(parts)).toEqual([8, 1, 1]);
  expect(parts.slice(1).flatMap((part) => part.map(({ userId }) => userId))).toEqual(['3', '7']);
  expect(sizes(suspects.apart([flightOf('3')]))).toEqual([1]);
});

test('a user stops being a suspect after a minute, or after a successful read', () => {
  let ms = 0;
  const suspects = createSuspects(() => ms);
  const flights = flightsOf(3);
  suspects.failed('1');
  ms = 59_999;
  expect(sizes(suspects.apart(flights))).toEqual([2, 1]);
  ms = 60_000;
  expect(sizes(suspects.apart(flights))).toEqual([3]);
  suspects.failed('2');
  suspects.succeeded([flightOf('2')]);
  expect(sizes(suspects.apart(flights))).toEqual([3]);
});

test('at most 16 suspects are read alone after one statement, even if more users fail', () => {
  const suspects = createSuspects();
  const flights = flightsOf(3_000);
  for (const { userId } of flights) suspects.failed(userId);
  expect(sizes(suspects.apart(flights))).toEqual([2_984, ...Array.from({ length: 16 }, () => 1)]);
  // Only 1,000 users are remembered; the earliest are forgotten.
  expect(sizes(suspects.apart(flights.slice(0, 2_000)))).toEqual([2_000]);
});
