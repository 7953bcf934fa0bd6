import { expect, test } from 'vitest';
import { planAgainst } from './simulated-plans.fixture.ts';
import type { Law } from './simulated-reads.fixture.ts';

const REPETITIONS = 100;
/**
 * Mean errors are up to this many points. A user of Zipf 1.2 has up to 18 % of the reads, so the true share itself
 * varies by 7 points from day to day if users exchange rates.
 */
const POINTS = 0.03;
const BUDGETS = [0.05, 0.25, 0.6];
const LAWS: readonly Law[] = [0.6, 0.9, 1.2, 'uniform', 'lognormal', 'two classes'];
const loads = LAWS.flatMap((law) =>
  [0.05, 0.3, 2].flatMap((perDay) => [0, 0.1].map((churn) => ({ law, perDay, churn }))),
);

test.each(loads)('a plan for $law, $perDay reads a day, churn $churn is near the truth', (load) => {
  for (const share of BUDGETS) {
    const found = planAgainst(load, share, REPETITIONS);
    const text = Object.entries(found).map(([key, value]) => `${key} ${(100 * value).toFixed(1)}`);
    console.info([load.law, load.perDay, load.churn, share, ...text].join(' '));
    const message = `budget ${share}`;
    expect.soft(found.covered, message).toBeGreaterThanOrEqual(0.9);
    // A budget for more users than are counted has a wide interval: which other users a run scores is unknown.
    if (load.perDay > 0.05 || share < 0.6) {
      expect.soft(Math.abs(found.estimate - found.truth), message).toBeLessThan(POINTS);
    }
  }
});
