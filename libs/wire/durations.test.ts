import { expect, test } from 'vitest';
import { formatDuration, parseDuration } from './durations.ts';

test('a duration is a whole number with its unit', () => {
  expect(['50ms', '30s', '15m', '36h', '1d'].map(parseDuration)).toEqual([
    50, 30_000, 900_000, 129_600_000, 86_400_000,
  ]);
});

test('a text without a unit or without a whole number is not a duration', () => {
  for (const text of ['50', '', '0s', '1.5h', '-1h', ' 1h', '1 h', '1H', '1w', 'h', '1e3s', '9999999999ms']) {
    expect(parseDuration(text), text).toBeNull();
  }
});

test('a duration is written in the largest unit that is exact, and reads back as itself', () => {
  expect([50, 1500, 129_600_000, 86_400_000].map(formatDuration)).toEqual(['50ms', '1500ms', '36h', '1d']);
  for (const ms of [1, 999, 1000, 60_000, 5_400_000]) expect(parseDuration(formatDuration(ms))).toBe(ms);
});
