import { expect, test } from 'vitest';
import { createRetryBudget } from './retry.ts';

test('a burst of 100 retries is free; later retries wait for a token, or are refused', () => {
  const clock = { now: 0 };
  const budget = createRetryBudget(() => clock.now);
  for (let i = 0; i < 100; i++) expect(budget.take(0)).toBe(0);
  expect(budget.take(0)).toBeUndefined();
  expect(budget.take(100)).toBe(100);
  expect(budget.take(199)).toBeUndefined();
  expect(budget.take(200)).toBe(200);
  clock.now = 300;
  expect(budget.take(0)).toBe(0);
});

test('ten calls earn one retry', () => {
  const budget = createRetryBudget(() => 0);
  while (budget.take(0) !== undefined);
  for (let i = 0; i < 10; i++) budget.earn();
  expect([budget.take(0), budget.take(0)]).toEqual([0, undefined]);
});

test('a clock that is set back costs no tokens', () => {
  const clock = { now: 1_000 };
  const budget = createRetryBudget(() => clock.now);
  clock.now = 0;
  expect(budget.take(0)).toBe(0);
});
