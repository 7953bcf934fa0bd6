import { expect, test } from 'vitest';
import { createUserShares, type ServedSource, type UserShares } from './exposures.ts';

function summed(shares: UserShares) {
  const sums = new Map<ServedSource, number>();
  let slow = 0;
  return {
    note(key: number, source: ServedSource, isSlow = false) {
      shares.note(key, { source, isSlow }, (changed, share, slowShare) => {
        sums.set(changed, (sums.get(changed) ?? 0) + share);
        slow += slowShare;
      });
    },
    of: (source: ServedSource) => sums.get(source) ?? 0,
    slow: () => slow,
    all: () => [...sums.values()].reduce((sum, share) => sum + share, 0),
  };
}

test('the shares of a user always add up to 1', () => {
  const sums = summed(createUserShares());
  const sources: readonly ServedSource[] = ['batch', 'live', 'stale', 'default', 'error'];
  for (let i = 0; i < 5_000; i++) sums.note(1 + (i % 7), sources[(i * i) % 5] ?? 'batch', i % 3 === 0);
  expect(sums.all()).toBeCloseTo(7, 8);
  for (const source of sources) expect(sums.of(source)).toBeGreaterThanOrEqual(-1e-9);
  expect(sums.slow()).toBeCloseTo(7 / 3, 0);
});

test('the last reads count: after a thousand good and 64 bad answers, a user’s share of bad answers is above one half', () => {
  const sums = summed(createUserShares());
  for (let i = 0; i < 1_000; i++) sums.note(1, 'batch');
  for (let i = 0; i < 64; i++) sums.note(1, 'error');
  expect(sums.of('error')).toBeGreaterThan(0.5);
});

test('a user has a first score only once', () => {
  const shares = createUserShares();
  shares.note(1, { source: 'error', isSlow: false }, () => {});
  expect([shares.isFirstScore(1), shares.isFirstScore(1), shares.isFirstScore(2)]).toEqual([true, false, true]);
});

test('full tables forget the oldest users, which then count as new', () => {
  const sums = summed(createUserShares(64));
  for (let key = 1; key <= 1_000; key++) sums.note(key, 'batch');
  expect(sums.all()).toBe(1_000);
  sums.note(1, 'batch');
  sums.note(1_000, 'batch');
  expect(sums.all()).toBe(1_001);
});
