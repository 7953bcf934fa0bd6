import { expect, test } from 'vitest';
import { nearestName } from './config-problem.ts';

test('a misspelt name finds the intended one', () => {
  const known = ['maxAge', 'live', 'liveTimeout', 'events'];
  expect(['maxage', 'max_age', 'liveTimeuot', 'event'].map((name) => nearestName(name, known))).toEqual([
    'maxAge',
    'maxAge',
    'liveTimeout',
    'events',
  ]);
});

test('a name without a similar name finds none', () => {
  expect(nearestName('ttl', ['maxAge', 'live'])).toBeUndefined();
  expect(nearestName('x', [])).toBeUndefined();
});
