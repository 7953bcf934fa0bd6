/**
 * A canary with the default steps, judged by an outcome of 10 % with a margin of 10 %: 200,000 users in a step of 1 %
 * decide almost never. The estimated number of users decides in 80 %.
 */

import type { ArmSample } from '@tandem/experiment/sequential/effect';
import { checkOutcome } from '@tandem/experiment/verdict/outcome-check';
import type { ArmFigures } from '@tandem/experiment/verdict/rollout-figures';
import type { AnalysisPlan, CanaryPlan } from '@tandem/freshness/rollout';
import { describe, expect, it } from 'vitest';
import { addSamples, drawBinomial, randomFrom } from '../../experiment/sequential/draws.fixture.ts';
import { outcomeNeeds, provenOutcomes } from './outcome-needs.ts';

const ORDER = {
  name: 'order',
  kind: 'binary',
  windowMs: 1,
  better: 'higher',
  guardrail: true,
  minimumEffect: 0.1,
} as const;
const ANALYSIS: AnalysisPlan = {
  ...{ automatic: true, dryRun: false, intervalMs: 1, minStepMs: 0, minUsers: 200, alpha: 0.05 },
  ...{ holdDeadlineMs: 7 * 86_400_000, outcomes: [ORDER] },
  guardrails: { errorRate: 0.01, slowShare: 0.05, slowMs: 100, liveShare: null, psi: null },
};
const CANARY: CanaryPlan = {
  ...{ kind: 'canary', version: 2, steps: [1, 5, 25, 50, 100], coverage: 'live', analysis: ANALYSIS },
};
const events = (users: number, share: number): ArmSample => {
  return { users, sum: users * share, sumOfSquares: users * share, largest: 1 };
};
const noted = (users: number, plan = CANARY, sample = events(10_000, 0.1)) =>
  outcomeNeeds(plan, { users, samples: [sample] })[0] ?? '';
const neededIn = (note: string) => Number(/needs about ([\d,]+) users/.exec(note)?.[1]?.replaceAll(',', ''));

/** Returns the share of steps that equally good arms pass, with 14 looks. */
function passed(percent: number, users: number, experiments: number): number {
  const random = randomFrom(6);
  const armOf = (name: string, order: ArmSample): ArmFigures => ({
    ...{ name, weight: 1, users: order.users, reads: order.users, errors: 0, slow: 0, scores: [] },
    ...{ sources: {}, outcomes: { order } },
  });
  const draw = (count: number) => {
    const had = drawBinomial(random, count, 0.1);
    return { users: count, sum: had, sumOfSquares: had, largest: 1 };
  };
  const isPassed = () => {
    let [stable, arm] = [events(0, 0), events(0, 0)];
    const own = Math.round((users * percent) / 100 / 14);
    return Array.from({ length: 14 }).some(() => {
      arm = addSamples(arm, draw(own));
      stable = addSamples(stable, draw(Math.round(users / 14) - own));
      const alphas = { worse: 0.05 / 16, notWorse: 0.05 };
      return checkOutcome(ORDER, 200, armOf('stable', stable), armOf('candidate', arm), alphas).state === 'pass';
    });
  };
  return Array.from({ length: experiments }).filter(isPassed).length / experiments;
}

describe('the users that a step needs', () => {
  it('are far more than 200,000 in a step of 1 %', () => {
    expect(passed(1, 200_000, 300)).toBeLessThan(0.06);
    expect(neededIn(noted(1))).toBeGreaterThan(1_000_000);
  });

  it.each([1, 10, 50])(
    'are enough for a step of %d %% in about 80 %%, which five standard errors confirm',
    (percent) => {
      const needed = neededIn(noted(1, { ...CANARY, steps: [percent, 100] }));
      expect(passed(percent, needed, 300)).toBeGreaterThan(0.8 - 5 * 0.023);
      expect(passed(percent, needed / 3, 300)).toBeLessThan(0.4);
    },
  );

  it('are compared with the users that are read until the deadline, and decidable steps are proposed', () => {
    expect(noted(3_000_000)).toMatch(
      /^order: to rule out a loss of 10 %, the step of 1 % needs about 1,600,000 users \(5.*00 to 4,.*00\); about 3,000,000 users are read in 7 days$/,
    );
    const proposed = noted(200_000);
    expect(proposed).toMatch(/; they can decide steps from (\d+) % on, such as --steps \1,25,50,100$/);
    const least = Number(/from (\d+) %/.exec(proposed)?.[1]);
    expect(passed(least, 200_000, 300)).toBeGreaterThan(0.7);
    expect(noted(40_000)).toMatch(/too few for any step: raise minimumEffect or the hold deadline$/);
    expect(noted(200_000, { ...CANARY, analysis: { ...ANALYSIS, holdDeadlineMs: null } })).toContain('in 7 days');
  });

  it('are not estimated from fewer than 30 users with the outcome', () => {
    const unknown = 'order: there is not enough data to estimate the users that a step needs';
    expect(noted(200_000, CANARY, events(1_000, 0.029))).toBe(unknown);
    expect(noted(200_000, CANARY, events(1_000, 0.03))).not.toBe(unknown);
    expect(outcomeNeeds(CANARY, { users: 0, samples: [] })).toEqual([unknown]);
  });

  it('concern only guardrails of a canary that compares arms', () => {
    expect(provenOutcomes(CANARY)).toEqual([ORDER]);
    expect(provenOutcomes({ ...CANARY, steps: [100] })).toEqual([]);
    const reported = { ...ANALYSIS, outcomes: [{ ...ORDER, guardrail: false }] };
    expect(provenOutcomes({ ...CANARY, analysis: reported })).toEqual([]);
  });
});
