import { expect, it } from 'vitest';
import { mixRows } from './mixed-rows.fixture.ts';

it('no caller gets a row of another caller, in 100,000 rows through split and merge', {
  timeout: 300_000,
}, async () => {
  const { asked, answered, foreign, kills, byKind } = await mixRows({ rows: 100_000, seed: 1 });
  expect(foreign).toEqual([]);
  expect(asked).toBeGreaterThanOrEqual(100_000);
  expect(answered).toBeGreaterThan(asked / 4);
  expect(Object.keys(byKind).sort()).toEqual(['chunk', 'many', 'sent', 'shared']);
  expect(kills).toBeGreaterThan(0);
});
