import fc from 'fast-check';
import { expect, it } from 'vitest';
import { createDemands, type Demand } from './demands.ts';

const raise = fc.record({
  user: fc.integer({ min: 0, max: 20 }),
  after: fc.integer({ min: 0, max: 30 }),
  version: fc.integer({ min: 0, max: 50 }),
  score: fc.integer({ min: 0, max: 50 }),
  lookBack: fc.integer({ min: 0, max: 200 }),
});

it('agrees with a complete list at each moment of the window, and returns false before it', () => {
  fc.assert(
    fc.property(fc.array(raise, { maxLength: 300 }), (raises) => {
      const demands = createDemands(100);
      const all: { user: number; ended: number; version: number; score: number }[] = [];
      let now = 0;
      for (const { user, after, version, score, lookBack } of raises) {
        now += after;
        demands.raise(user, now, version, score);
        all.push({ user, ended: now, version, score });
        const at = now - lookBack;
        const before = all.filter((one) => one.user === user && one.ended < at);
        const found: Demand = { version: -1, score: -1 };
        const isKnown = demands.find(user, at, found);
        if (lookBack <= 100) expect(isKnown).toBe(true);
        if (!isKnown) continue;
        expect(found.version).toBe(Math.max(0, ...before.map((one) => one.version)));
        expect(found.score).toBe(Math.max(0, ...before.map((one) => one.score)));
      }
    }),
  );
});

it('bounds the memory of a user with many raises by the window', () => {
  const demands = createDemands(1_000);
  for (let i = 1; i <= 1_000_000; i++) demands.raise(i % 3, i, i, i);
  const found: Demand = { version: 0, score: 0 };
  expect(demands.find(0, 1_000_000, found)).toBe(true);
  expect(found).toEqual({ version: 999_999, score: 999_999 });
  expect(demands.find(0, 10, found)).toBe(false);
});
