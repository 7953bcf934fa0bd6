import { expect, test } from 'vitest';
import { checkBudget } from './check-predictor.ts';

type Policy = Parameters<typeof checkBudget>[0]['policy'];
const withBudget = (maxAgeMs: number | null, batch: Partial<Policy['batch']>) =>
  checkBudget({ policy: { freshness: { maxAgeMs }, batch: { schedule: '0 * * * *', ...batch } } as Policy });

test('check warns of a budget for all scheduled runs without maxAge, because no run scores users who are not read', () => {
  const budget = { share: 0.25 };
  expect(withBudget(null, { budget })).toMatchObject([
    { level: 'warning', remedy: expect.stringContaining('everyone') },
  ]);
  expect(withBudget(86_400_000, { budget })).toEqual([]);
  expect(withBudget(null, { budget, changedSchedule: '0 * * * *' })).toEqual([]);
  expect(withBudget(null, {})).toEqual([]);
});
