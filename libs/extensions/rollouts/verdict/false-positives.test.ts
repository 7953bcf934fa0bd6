/**
 * Tests the promise behind every figure: without an effect, at most 5 % of simulated experiments ever find one, even
 * with daily looks. These are some of the hard cases; false-alarms.long.test.ts has all of them. Shares, sample ratios
 * and verdicts have separate tests.
 */

import {
  addSamples,
  drawBinomial,
  drawMultinomial,
  mostOf,
  randomFrom,
} from '@tandem/experiment/distributions/draws.fixture';
import { describe, expect, it } from 'vitest';
import { logEvidenceAbove } from '../sequential/confidence-sequence.ts';
import { type ArmSample, differenceOf, zOf } from '../sequential/effect.ts';
import { compareOutcome } from './compare-outcome.ts';
import { judgeRollout } from './judge-rollout.ts';
import type { ArmFigures, JudgingRules } from './rollout-figures.ts';
import { stabilityIndex } from './shift-check.ts';
import {
  ALPHA,
  armWith,
  type DrawUsers,
  evidenceOfDifference,
  NO_USERS,
  SIMULATED_METRICS,
  simulate,
} from './simulated-experiments.fixture.ts';

const PROVEN = Math.log(1 / ALPHA);
const EXPERIMENTS = 500;
const DAYS = 28;

type Rejects = (stable: ArmSample, arm: ArmSample) => boolean;

const differs: Rejects = (stable, arm) => evidenceOfDifference(stable, arm, ALPHA) >= PROVEN;
const differsByOneLook: Rejects = (stable, arm) => Math.abs(zOf(differenceOf(stable, arm))) > 1.96;

function drawOf(name: string): DrawUsers {
  const metric = SIMULATED_METRICS.find((one) => one.name === name);
  if (!metric) throw new Error(`no metric ${name}`);
  return metric.draw;
}

/**
 * Returns the share of experiments without an effect in which the test ever rejects, at looks with at least 20 users in
 * each arm.
 */
function everRejected(name: string, share: number, usersPerLook: number, rejects: Rejects): number {
  const found = new Set<number>();
  const simulation = { draw: drawOf(name), share, usersPerLook, looks: DAYS, experiments: EXPERIMENTS, seed: 5 };
  simulate(simulation, (experiment, _, stable, arm) => {
    if (Math.min(stable.users, arm.users) < 20 || !rejects(stable, arm)) return false;
    found.add(experiment);
    return true;
  });
  return found.size;
}

describe.each([
  ['binary, 0.5 %', 0.01, 1_000],
  ['binary, 2 %', 0.05, 100],
  ['binary, 8 %', 0.5, 200],
  ['lognormal, 1 % buy', 0.01, 1_000],
  ['lognormal, 8 % buy', 0.1, 1_000],
  ['Pareto 2.2, 1 % buy', 0.05, 1_000],
  ['Pareto 2.2, 8 % buy', 0.5, 200],
  ['the shop’s own', 0.01, 1_000],
] as const)('%s, in an arm with %d of %d users a day', (name, share, usersPerLook) => {
  it('is falsely found to have an effect in at most 5 % of experiments', () => {
    expect(everRejected(name, share, usersPerLook, differs)).toBeLessThan(mostOf(EXPERIMENTS, ALPHA));
  });
});

describe('a single-look test with daily looks', () => {
  it('finds effects that do not exist far too often, so verdicts do not use it', () => {
    expect(everRejected('binary, 8 %', 0.5, 200, differsByOneLook)).toBeGreaterThan(EXPERIMENTS / 4);
  });
});

describe('an arm of a few users', () => {
  const count = (users: number, events: number): ArmSample => ({ users, sum: events, sumOfSquares: events });
  const asked = {
    name: 'order',
    kind: 'binary',
    armName: 'b',
    better: 'higher',
    alpha: ALPHA,
    minimumEffect: 0.1,
    days: 7,
  } as const;

  it('without a buyer, where 1.3 are expected, proves nothing', () => {
    // Fisher's exact test gives p = 0.63; with each arm's own variance, p was 0.00019.
    const { pValue, conclusion } = compareOutcome({ ...asked, stable: count(2_334, 129), arm: count(23, 0) });
    expect(pValue).toBeGreaterThan(0.6);
    expect(conclusion.kind).toBe('undecided');
  });

  it('without a buyer, where 300 are expected, is proven worse', () => {
    const { conclusion } = compareOutcome({ ...asked, stable: count(30_000, 3_000), arm: count(3_000, 0) });
    expect(conclusion.kind).toBe('worse');
  });
});

/** Returns the share of canaries of an equal version that are rolled back, with daily looks and steps of a week. */
function rolledBack(name: string, minUsers: number, canaries: number): number {
  const draw = drawOf(name);
  const rules: JudgingRules = {
    minStepMs: 0,
    minUsers,
    alpha: ALPHA,
    guardrails: { errorRate: null, slowShare: null, liveShare: null, psi: null },
    outcomes: [{ name: 'revenue', kind: 'sum', better: 'higher', guardrail: true, minimumEffect: 0.1 }],
  };
  const random = randomFrom(17);
  const arm = (armName: string, weight: number, revenue: ArmSample): ArmFigures => ({
    ...armWith(armName, 'revenue', revenue),
    weight,
  });
  const isRolledBack = (percent: number) => {
    let [stable, candidate] = [NO_USERS, NO_USERS];
    for (let day = 0; day < 7; day++) {
      const users = drawBinomial(random, 2_000, percent / 100);
      candidate = addSamples(candidate, draw(random, users));
      stable = addSamples(stable, draw(random, 2_000 - users));
      const arms = { stable: arm('stable', 100 - percent, stable), arms: [arm('candidate', percent, candidate)] };
      if (judgeRollout({ elapsedMs: 1, steps: 4, ...arms }, rules).verdict === 'roll_back') return true;
    }
    return false;
  };
  return Array.from({ length: canaries }).filter(() => [1, 5, 25, 50].some(isRolledBack)).length;
}

describe.each(['lognormal, 1 % buy', 'Pareto 2.2, 1 % buy', 'the shop’s own'])(
  'a harmless canary judged by %s',
  (name) => {
    it.each([20, 200])('is rolled back in at most 5 % with at least %d users in each arm', (minUsers) => {
      expect(rolledBack(name, minUsers, 200)).toBeLessThan(mostOf(200, ALPHA));
    });
  },
);

describe('a shift of the scores', () => {
  const stable = [0.05, 0.1, 0.2, 0.3, 0.2, 0.1, 0.05];
  const shifted = [0.03, 0.07, 0.15, 0.28, 0.24, 0.14, 0.09];
  /** The exact index of the two populations. */
  const limit = shifted.reduce((sum, p, i) => sum + (p - (stable[i] ?? 1)) * Math.log(p / (stable[i] ?? 1)), 0);

  /** Returns the shares of experiments that ever prove the index above the limit, and below it. */
  function proven(of: readonly number[], experiments: number): { above: number; below: number } {
    const random = randomFrom(8);
    const counted = { above: 0, below: 0 };
    for (let experiment = 0; experiment < experiments; experiment++) {
      const [ours, theirs] = [stable.map(() => 0), of.map(() => 0)];
      const ever = { above: false, below: false };
      for (let users = 300; users <= 300 * 14; users += 300) {
        for (const [i, count] of drawMultinomial(random, 300, stable).entries()) ours[i] = (ours[i] ?? 0) + count;
        for (const [i, count] of drawMultinomial(random, 300, of).entries()) theirs[i] = (theirs[i] ?? 0) + count;
        const index = stabilityIndex({ counts: ours, users }, { counts: theirs, users });
        if (index === null) throw new Error('no index');
        const z = (index.estimate - limit) / Math.sqrt(index.variance);
        ever.above ||= logEvidenceAbove(z, { users: 2 * users, alpha: ALPHA }) >= PROVEN;
        ever.below ||= logEvidenceAbove(-z, { users: 2 * users, alpha: ALPHA }) >= PROVEN;
      }
      if (ever.above) counted.above++;
      if (ever.below) counted.below++;
    }
    return counted;
  }

  it('exactly at the limit is proven above or below it in at most 5 % of experiments', () => {
    const { above, below } = proven(shifted, 600);
    expect(above).toBeLessThan(mostOf(600, ALPHA));
    expect(below).toBeLessThan(mostOf(600, ALPHA));
  });

  it('of 0 is soon proven to be below the limit, and of twice the limit to be above it', () => {
    expect(proven(stable, 100).below).toBeGreaterThan(95);
    const further = stable.map((_, i) => [0.01, 0.04, 0.1, 0.25, 0.28, 0.19, 0.13][i] ?? 0);
    expect(proven(further, 100).above).toBeGreaterThan(95);
  });
});
