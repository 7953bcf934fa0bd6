import fc from 'fast-check';
import { expect, it } from 'vitest';
import { createRunCost } from './live-room.ts';

const runs = fc.array(fc.integer({ min: 1, max: 200 }), { minLength: 30, maxLength: 60 });

it('learns what a run costs and what a row, from runs of any sizes', () => {
  const property = fc.property(runs, fc.nat(20), fc.integer({ min: 1, max: 10 }), (sizes, fixed, perRow) => {
    fc.pre(new Set(sizes.slice(-10)).size > 5);
    const cost = createRunCost();
    for (const rows of sizes) cost.observe(rows, fixed + perRow * rows);
    const largest = Math.max(...sizes.slice(-10));
    expect(cost.ms(largest)).toBeCloseTo(fixed + perRow * largest, 0);
    expect(cost.rowsWithin(fixed + perRow * largest + perRow / 2)).toBe(largest);
  });
  fc.assert(property, { numRuns: 200 });
});

it('takes all for the cost of rows while the runs were of one size', () => {
  const cost = createRunCost();
  for (let i = 0; i < 5; i++) cost.observe(4, 20);
  expect([cost.ms(1), cost.ms(8), cost.rowsWithin(12)]).toEqual([5, 40, 2]);
});

it('knows nothing before the first run, and dares twice the largest run of late after it', () => {
  const cost = createRunCost();
  expect([cost.ms(100), cost.rowsWithin(1)]).toEqual([0, 16]);
  cost.observe(16, 1);
  expect(cost.rowsWithin(1_000)).toBe(32);
  cost.observe(32, 1);
  expect(cost.rowsWithin(1_000)).toBe(64);
});

it('is little impressed by one run that something else held up, and follows a model that has become slower', () => {
  const cost = createRunCost();
  for (let i = 0; i < 20; i++) cost.observe(1, 5);
  cost.observe(1, 5_000);
  expect(cost.ms(1)).toBeLessThan(7);
  for (let i = 0; i < 60; i++) cost.observe(1, 50);
  expect(cost.ms(1)).toBeGreaterThan(45);
});
