import type { RunPlan } from '@tandem/client/wire';
import { expect, test } from 'vitest';
import { renderRunPlan } from './render-run.ts';

const half = {
  ...{ share: 0.5, users: 5_000, reads: 0.482, readsInterval: { low: 0.449, high: 0.515 }, readers: 0.75 },
  ...{ cpuMinutes: 0.5, seconds: 20 },
};
const plan: RunPlan = {
  predictor: 'repurchase',
  users: 10_000,
  until: '2026-11-25T02:00:00.000Z',
  asked: half,
  budgets: [
    {
      ...half,
      share: 1,
      users: 10_000,
      reads: 1,
      readsInterval: { low: 1, high: 1 },
      readers: 1,
      cpuMinutes: 1,
      seconds: 40,
    },
  ],
};

test('the requested budget comes first, with its effect and cost', () => {
  expect(renderRunPlan(plan)).toEqual([
    'repurchase: 10,000 users; next run at 2026-11-25 02:00:00 UTC',
    '            budget   users              of reads  of readers    CPU  time',
    'requested   50.0 %   5,000     48 % (45 to 52 %)        75 %   30 s  20 s',
    '           100.0 %  10,000  100 % (100 to 100 %)       100 %  1 min  40 s',
    'reads and readers of the next day, of all predictors, with a 95 % interval',
  ]);
});

test('unknown values are marked, with the reason', () => {
  const unknown = { ...half, reads: null, readsInterval: null, readers: null, cpuMinutes: null };
  expect(renderRunPlan({ ...plan, asked: null, budgets: [unknown] })).toEqual([
    'repurchase: 10,000 users; next run at 2026-11-25 02:00:00 UTC',
    '  budget  users  of reads  of readers  CPU  time',
    '  50.0 %  5,000         ?           ?    ?  20 s',
    'not enough reads: an estimate needs about 1,000 reads in the last two weeks, on four days or more',
  ]);
});
