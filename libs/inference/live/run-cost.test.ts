import fc from 'fast-check';
import { expect, it } from 'vitest';
import { createRunCost } from './run-cost.ts';

const runs = fc.array(fc.integer({ min: 1, max: 200 }), { minLength: 30, maxLength: 60 });

it('learns the cost of a run and of a row from runs of different sizes', () => {
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

it('counts all time as the cost of rows while all runs have one size', () => {
  const cost = createRunCost();
  for (let i = 0; i < 5; i++) cost.observe(4, 20);
  expect([cost.ms(1), cost.ms(8), cost.rowsWithin(12)]).toEqual([5, 40, 2]);
});

it('has no estimate before the first run, and allows twice the largest run after it', () => {
  const cost = createRunCost();
  expect([cost.ms(100), cost.rowsWithin(1)]).toEqual([0, 16]);
  cost.observe(16, 1);
  expect(cost.rowsWithin(1_000)).toBe(32);
  cost.observe(32, 1);
  expect(cost.rowsWithin(1_000)).toBe(64);
});

it('is little affected by one delayed run, and follows a model that has become slower', () => {
  const cost = createRunCost();
  for (let i = 0; i < 20; i++) cost.observe(1, 5);
  cost.observe(1, 5_000);
  expect(cost.ms(1)).toBeLessThan(7);
  for (let i = 0; i < 60; i++) cost.observe(1, 50);
  expect(cost.ms(1)).toBeGreaterThan(45);
});

it('while all runs have one size, keeps the cost of a row from earlier sizes or from the warm-up', () => {
  const learned = createRunCost();
  for (const rows of [1, 64, 256]) learned.observe(rows, 1 + rows / 100);
  const warmedUp = createRunCost();
  warmedUp.warmedUp({ oneMs: 1.01, rows: 128, ms: 2.28 });
  expect([warmedUp.ms(128), warmedUp.rowsWithin(1_000)]).toEqual([0, 16]);
  for (const cost of [learned, warmedUp]) {
    for (let i = 0; i < 5_000; i++) cost.observe(1, 1.01);
    expect(cost.ms(1)).toBeCloseTo(1.01, 1);
    expect(cost.ms(201)).toBeCloseTo(3.01, 1);
    expect(cost.rowsWithin(3.1)).toBeGreaterThan(190);
  }
});

it('does not assume a higher cost of a row than runs show, whatever the warm-up took', () => {
  const cost = createRunCost();
  cost.warmedUp({ oneMs: 1, rows: 64, ms: 6_400 });
  cost.observe(1, 2);
  expect(cost.ms(10)).toBe(20);
});

it('counts all time as the cost of rows after a warm-up with a single row slower than many', () => {
  const cost = createRunCost();
  cost.warmedUp({ oneMs: 30, rows: 128, ms: 20 });
  cost.observe(1, 2);
  expect([cost.ms(10), cost.rowsWithin(10)]).toEqual([20, 5]);
});

it('does not use the warm-up while the rows of readers cost much more', () => {
  const cost = createRunCost();
  cost.warmedUp({ oneMs: 1.01, rows: 128, ms: 2.28 });
  cost.observe(1, 50);
  expect([cost.ms(10), cost.rowsWithin(250)]).toEqual([500, 5]);
  // The first run was slow for another reason.
  for (let i = 0; i < 500; i++) cost.observe(1, 1.01);
  expect(cost.ms(201)).toBeCloseTo(3.01, 1);
});
