import { expect, it } from 'vitest';
import { compareAnswers, yardstickOf } from './compare-answers.ts';

const byScore = { output: 'score', threshold: 0.5 };

it.each([
  [0.4, 0.6, 'up', false],
  [0.6, 0.4, 'down', true],
  [0.4, 0.49, null, false],
  [0.5, 0.9, null, true],
  [0.5, 0.4999, 'down', true],
] as const)('the decision changes from %d to %d: %s', (served, candidate, flip, isAbove) => {
  const found = compareAnswers({ score: served }, { score: candidate }, byScore);
  expect(found).toEqual({
    isDifferent: true,
    flip,
    isAbove,
    numbers: { served, candidate, delta: candidate - served },
  });
});

it('booleans count as 0 and 1; texts are only equal or different', () => {
  const yes = compareAnswers({ buys: false }, { buys: true }, { output: 'buys', threshold: 1 });
  expect(yes).toMatchObject({ flip: 'up', numbers: { delta: 1 } });
  const plan = compareAnswers({ plan: 'free' }, { plan: 'paid' }, { output: 'plan', threshold: null });
  expect(plan).toEqual({ isDifferent: true, flip: null, isAbove: false, numbers: null });
});

it('without a decision, the first output with one value is compared', () => {
  const found = compareAnswers({ shares: [1, 2], score: 0.1 }, { score: 0.1, shares: [3] }, yardstickOf({}));
  expect(found).toMatchObject({ isDifferent: false, numbers: { delta: 0 }, flip: null });
});

it('a comparison is undefined if one of the two lacks the output', () => {
  expect(compareAnswers({ score: 1 }, { other: 1 }, byScore)).toBeUndefined();
  expect(compareAnswers({ score: [1] }, { score: 1 }, byScore)).toBeUndefined();
  expect(compareAnswers({ score: 1 }, { score: 1 }, { output: 'toString', threshold: null })).toBeUndefined();
});
