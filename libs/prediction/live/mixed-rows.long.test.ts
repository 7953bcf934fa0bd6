import { expect, it } from 'vitest';
import { mixRows } from './mixed-rows.fixture.ts';

it('no caller gets a row of another caller, in 1,000,000 rows through split and merge', {
  timeout: 1_200_000,
}, async () => {
  const { asked, answered, foreign, kills } = await mixRows({ rows: 1_000_000, seed: 2 });
  expect(foreign).toEqual([]);
  expect(asked).toBeGreaterThanOrEqual(1_000_000);
  expect(answered).toBeGreaterThan(asked / 4);
  expect(kills).toBeGreaterThan(0);
});
