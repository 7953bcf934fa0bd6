import { expect, test } from 'vitest';
import { PLAN_EXAMPLE } from '../wire/rollout-plan.ts';
import { leastDurationOf } from './start.ts';

const { analysis, coverage } = PLAN_EXAMPLE;
const order = {
  name: 'order',
  kind: 'binary',
  window: '14d',
  better: 'higher',
  guardrail: true,
  minimumEffect: 0.1,
  cap: null,
} as const;
type Order = Omit<typeof order, 'name' | 'window' | 'guardrail'> & { name: string; window: string; guardrail: boolean };
const canary = (outcomes: Order[], steps: number[] = [1, 5, 25, 50, 100]) =>
  leastDurationOf({ plan: { ...PLAN_EXAMPLE, steps, analysis: { ...analysis, outcomes } } });

test('a canary whose steps wait for the windows of outcomes shows its least duration', () => {
  const sentence = 'the rollout takes at least 56 days: 4 steps below 100 % each wait for the window of order, 14d;';
  expect(canary([{ ...order, name: 'visit', window: '1d' }, order])).toMatch(sentence);
  expect(canary([{ ...order, window: '6h' }], [50, 100])).toMatch(
    'at least 6 h: 1 step below 100 % waits for the window',
  );
});

test('an A/B test shows when it can first judge an outcome, even if the outcome is no guardrail', () => {
  const arms = [{ variant: 'b', version: '3', weight: 50 }];
  const outcomes = [{ ...order, guardrail: false }];
  const plan = { kind: 'ab', arms, coverage, analysis: { ...analysis, outcomes } } as const;
  expect(leastDurationOf({ plan })).toMatch('the rollout can judge order after 14 d at the earliest');
});

test('nothing is shown if windows do not prolong the rollout', () => {
  expect(canary([])).toBeNull();
  expect(canary([{ ...order, guardrail: false }])).toBeNull();
  expect(canary([{ ...order, window: '10m' }])).toBeNull();
  expect(canary([order], [100])).toBeNull();
  expect(leastDurationOf({ plan: { kind: 'shadow', version: '3', share: 0.1, maxPerSecond: 50 } })).toBeNull();
});
