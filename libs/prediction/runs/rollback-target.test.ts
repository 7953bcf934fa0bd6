import { expect, test } from 'vitest';
import type { GenerationState } from './generations.ts';
import { rollbackTarget } from './rollback-target.ts';

const states: Readonly<Record<number, GenerationState>> = {
  6: 'building',
  5: 'published',
  4: 'published',
  3: 'published',
  2: 'dropped',
};
const all = [6, 5, 4, 3, 2].map((number) => ({
  ...{ number, state: states[number] ?? 'published', modelNumber: 1 },
  ...{ wasStable: true, servedStable: true },
}));
const at = (number: number) => all.find((one) => one.number === number) ?? null;

test.each([
  [4, null, 3],
  [4, 5, 5],
  [null, null, 5],
  [5, 3, 3],
])('from generation %j, a rollback to %j goes to %j', (from, to, expected) => {
  expect(rollbackTarget(all, from === null ? null : at(from), { to }).number).toBe(expected);
});

test('without a target, a rollback skips generations that only a rollout’s arm has served, even of a formerly stable version', () => {
  const tried = all.map((one) => ({ ...one, servedStable: one.number !== 4 }));
  expect(rollbackTarget(tried, at(5), { to: null }).number).toBe(3);
  expect(rollbackTarget(tried, at(5), { to: 4 }).number).toBe(4);
});

test('a rollback to a version that was never stable needs force', () => {
  const tried = all.map((one) => ({ ...one, wasStable: one.number !== 4, servedStable: one.number !== 4 }));
  expect(() => rollbackTarget(tried, at(5), { to: 4 })).toThrow(
    expect.objectContaining({ code: 'never_stable', field: 'to', remedy: expect.stringContaining('--force') }),
  );
  expect(rollbackTarget(tried, at(5), { to: 4, force: true }).number).toBe(4);
});

test.each([
  [4, 4, 'Generation 4 is already current.', 'choose one of 5, 3'],
  [4, 2, 'Generation 2 is dropped.', 'choose one of 5, 3'],
  [4, 6, 'Generation 6 is not published.', 'choose one of 5, 3'],
  [4, 9, 'There is no generation 9.', 'choose one of 5, 3'],
  [3, null, 'There is no published generation before the current generation 3.', 'choose one of 5, 4'],
])(
  'from generation %j, a rollback to %j is rejected, and the error names the possible generations',
  (from, to, message, remedy) => {
    expect(() => rollbackTarget(all, at(from), { to })).toThrow(
      expect.objectContaining({ code: 'unknown_generation', field: 'to', message, remedy }),
    );
  },
);

test('before the first run, a rollback is rejected', () => {
  expect(() => rollbackTarget([], null, { to: null })).toThrow(
    expect.objectContaining({ remedy: 'start a run first: there is no other published generation yet' }),
  );
});
