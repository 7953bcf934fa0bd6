/**
 * A canary with the default steps, judged by an outcome of 10 % with a margin of 10 %: 200,000 users in a step of 1 %
 * decide almost never. The estimated number of users decides in 80 %, also of a capped sum.
 */

import { readFileSync } from 'node:fs';
import { randomFrom } from '@tandem/experiment/distributions/draws.fixture';
import type { CanaryPlan } from '@tandem/freshness/rollout';
import { describe, expect, it } from 'vitest';
import type { ArmSample } from '../sequential/effect.ts';
import { CAPPED_METRICS } from '../verdict/simulated-experiments.fixture.ts';
import { ANALYSIS, CANARY, neededIn, noteOf, ORDER, passed, TENTH } from './outcome-needs.fixture.ts';
import { outcomeNeeds, provenOutcomes } from './outcome-needs.ts';

const events = (users: number, share: number): ArmSample => {
  return { users, sum: users * share, sumOfSquares: users * share, largest: 1 };
};
const noted = (users: number, plan = CANARY, sample = events(10_000, 0.1)) =>
  outcomeNeeds(plan, { users, samples: [sample] })[0] ?? '';
const withSteps = (...steps: number[]): CanaryPlan => ({ ...CANARY, steps: [...steps, 100] });

describe('the users that a step needs', () => {
  it('are far more than 200,000 in a step of 1 %', () => {
    expect(passed(1, 200_000, 300)).toBeLessThan(0.06);
    expect(neededIn(noted(1))).toBeGreaterThan(1_000_000);
  });

  it.each([1, 10, 50, 95])('are enough for a step of %d percent in about 80 of 100', (percent) => {
    const needed = neededIn(noteOf(percent, TENTH, events(10_000, 0.1)));
    expect(passed(percent, needed, 300)).toBeGreaterThan(0.8 - 2 * 0.023);
    expect(passed(percent, needed / 3, 300)).toBeLessThan(0.4);
  });

  it.each([
    ['lognormal, 8 % buy, cap 20', [50]],
    ['10 ± 8, cap 500', [1, 10, 50]],
    ['10 ± 8, cap 2000', [1, 10, 50]],
  ] as const)(
    'are enough for a sum of %s in the steps %j, and cover the users that are not seen yet',
    (name, steps) => {
      const metric = CAPPED_METRICS.find((one) => one.name === name);
      if (!metric) throw new Error(`no metric ${name}`);
      for (const percent of steps) {
        const needed = neededIn(noteOf(percent, metric, metric.draw(randomFrom(5), 10_000)));
        expect(passed(percent, needed, 300, metric)).toBeGreaterThan(0.8 - 2 * 0.023);
        expect(passed(percent, needed / 3, 300, metric)).toBeLessThan(0.4);
      }
    },
  );

  it('are compared with the users that are read until the deadline, and decidable steps are proposed', () => {
    expect(noted(3_000_000)).toMatch(
      /^order: to rule out a loss of 10 %, the step of 1 % needs about 1,600,000 users \(5.*00 to 4,.*00\); about 3,000,000 users are read in 7 days$/,
    );
    const proposed = noted(200_000);
    expect(proposed).toMatch(/; they can decide steps from (\d+) % to \d+ %, such as --steps \1,25,50,100$/);
    const [least, most] = /from (\d+) % to (\d+) %/.exec(proposed)?.slice(1).map(Number) ?? [];
    for (const step of [least ?? 0, most ?? 0]) expect(passed(step, 200_000, 300)).toBeGreaterThan(0.8 - 2 * 0.023);
    for (const step of [(least ?? 0) / 2, 100 - (100 - (most ?? 0)) / 2])
      expect(passed(step, 200_000, 300)).toBeLessThan(0.5);
    expect(noted(200_000, withSteps(1, 50, 95, 99))).toMatch(/the step of 99 % needs .* such as --steps \d+,50,100$/);
    expect(noted(200_000, withSteps(50, 99))).toMatch(/the step of 99 % needs .* such as --steps 50,100$/);
    expect(noted(200_000, withSteps(50))).toMatch(/about 200,000 users are read in 7 days$/);
    expect(noted(40_000)).toMatch(
      /too few for any step: raise minimumEffect \(--minimum-effect\) or the hold deadline \(--hold-deadline\)$/,
    );
    expect(noted(200_000, { ...CANARY, analysis: { ...ANALYSIS, holdDeadlineMs: null } })).toContain('in 7 days');
  });

  it('of sums with values of 10 ± 8 are those of the page', () => {
    const sample = { users: 10_000, sum: 100_000, sumOfSquares: 1_640_000, largest: 38 };
    const needed = (percent: number, cap: number | null) =>
      neededIn(noteOf(percent, { ...TENTH, kind: 'sum', cap }, sample)).toLocaleString('en');
    const page = readFileSync(new URL('../../../../docs/experiments.md', import.meta.url), 'utf8').replaceAll(
      /\s+/g,
      ' ',
    );
    expect(page).toContain(
      `a step of 50 % needs ${needed(50, null)} users without a cap, ${needed(50, 500)} with a cap of 500, and ${needed(50, 2_000)} with a cap of 2,000`,
    );
    expect(page).toContain(`a step of 1 % needs ${needed(1, 500)} users, and without a cap ${needed(1, null)}`);
  });

  it('are not estimated from fewer than 30 users with the outcome', () => {
    const unknown = 'order: there is not enough data to estimate the users that a step needs';
    expect(noted(200_000, CANARY, events(1_000, 0.029))).toBe(unknown);
    expect(noted(200_000, CANARY, events(1_000, 0.03))).not.toBe(unknown);
    expect(outcomeNeeds(CANARY, { users: 0, samples: [] })).toEqual([unknown]);
  });

  it('are more than any number for a margin that is too small', () => {
    const outcomes = [{ ...ORDER, minimumEffect: 1e-6 }];
    expect(noted(200_000, { ...CANARY, analysis: { ...ANALYSIS, outcomes } })).toMatch(
      /^order: no number of users is enough to rule out a loss of .*: raise minimumEffect \(--minimum-effect\)$/,
    );
  });

  it('concern only guardrails of a canary that compares arms', () => {
    expect(provenOutcomes(CANARY)).toEqual([ORDER]);
    expect(provenOutcomes({ ...CANARY, steps: [100] })).toEqual([]);
    const reported = { ...ANALYSIS, outcomes: [{ ...ORDER, guardrail: false }] };
    expect(provenOutcomes({ ...CANARY, analysis: reported })).toEqual([]);
  });
});
