import type { Policy } from '@tandem/freshness/predictor';
import { expect, test } from 'vitest';
import { latestSlot, maxAgeTooShort, nextSlot, scheduleProblem, slotGaps } from './schedule.ts';

const hour = 3_600_000;
const nightly = '0 2 * * *';
const at = (time: string) => new Date(`2026-03-29T${time}Z`);

function policy(maxAgeMs: number | null, schedule: string | null): Policy {
  return {
    freshness: {
      maxAgeMs,
      live: true,
      liveTimeoutMs: 50,
      onLiveFailure: 'stale',
      unverified: true,
      default: null,
      events: ['*'],
    },
    batch: { schedule, chunkSize: 5000, minCoverage: 0.9 },
  };
}

test('the latest slot may be the given time itself', () => {
  expect(latestSlot(nightly, at('02:00:00'))).toEqual(at('02:00:00'));
  expect(latestSlot(nightly, at('01:59:59.999'))).toEqual(new Date('2026-03-28T02:00:00Z'));
});

test('the next slot is always after the given time', () => {
  expect(nextSlot(nightly, at('01:59:59.999'))).toEqual(at('02:00:00'));
  expect(nextSlot(nightly, at('02:00:00'))).toEqual(new Date('2026-03-30T02:00:00Z'));
});

test('slots are in UTC, so the hour that daylight saving time skips in Europe exists', () => {
  expect(latestSlot('30 1 * * *', at('12:00:00'))).toEqual(at('01:30:00'));
});

test('the longest interval of a weekday schedule is the weekend', () => {
  expect(slotGaps(nightly)).toEqual({ shortestMs: 24 * hour, longestMs: 24 * hour });
  expect(slotGaps('0 2 * * 1-5')).toEqual({ shortestMs: 24 * hour, longestMs: 72 * hour });
  expect(slotGaps('0 2 29 2 *').longestMs).toBe(1461 * 24 * hour);
});

test.each([
  ['', 'this has 0'],
  ['0 2 * *', 'this has 4'],
  ['* * * * * *', 'this has 6'],
  ['0 25 * * *', 'range 0-23'],
  ['0 2 30 2 *', 'day of month'],
  ['a 2 * * *', 'invalid characters'],
  ['H 2 * * *', 'random'],
])('%j is refused as a schedule', (schedule, why) => {
  expect(scheduleProblem(schedule)).toContain(why);
});

test('month and weekday names are allowed', () => {
  expect(scheduleProblem('0 2 * MAR THU')).toBeNull();
});

test('maxAge must outlast the interval and twice the last run', () => {
  expect(maxAgeTooShort(policy(26 * hour, nightly), hour)).toBeNull();
  expect(maxAgeTooShort(policy(26 * hour - 1, nightly), hour)).toBe(
    "93599999ms is shorter than the schedule's longest interval (1d) plus twice the last run's time (1h): " +
      'every prediction would expire before the next run replaces it; at least 26h is needed',
  );
  expect(maxAgeTooShort(policy(24 * hour, '0 2 * * 1-5'), 0)).toContain('(3d)');
  expect(maxAgeTooShort(policy(null, nightly), hour)).toBeNull();
  expect(maxAgeTooShort(policy(1000, null), hour)).toBeNull();
});
