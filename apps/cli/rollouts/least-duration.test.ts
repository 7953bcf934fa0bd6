import { expect, test } from 'vitest';
import { leastDurationOf } from './start.ts';

const order = { name: 'order', window: '14d', guardrail: true };
const canary = (outcomes: readonly (typeof order)[], steps: readonly number[] = [1, 5, 25, 50, 100]) =>
  leastDurationOf({ kind: 'canary', plan: { steps, analysis: { minStep: '10m', outcomes } } });

test('a canary whose steps wait for the windows of outcomes says for how long', () => {
  const sentence = 'it takes at least 56 days: 4 steps below 100 % each wait for the window of order, 14d;';
  expect(canary([{ ...order, name: 'visit', window: '1d' }, order])).toMatch(sentence);
  expect(canary([{ ...order, window: '6h' }], [50, 100])).toMatch('at least 6 h: 1 steps');
});

test('an A/B test says when it first knows of an outcome, whether or not it is a guardrail', () => {
  const plan = { analysis: { minStep: '10m', outcomes: [{ ...order, guardrail: false }] } };
  expect(leastDurationOf({ kind: 'ab', plan })).toMatch('it knows of order after 14 d at the earliest');
});

test('nothing is said where windows make nothing longer', () => {
  expect(canary([])).toBeNull();
  expect(canary([{ ...order, guardrail: false }])).toBeNull();
  expect(canary([{ ...order, window: '10m' }])).toBeNull();
  expect(canary([order], [100])).toBeNull();
  expect(leastDurationOf({ kind: 'shadow', plan: {} })).toBeNull();
});
