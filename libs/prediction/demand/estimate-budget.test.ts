import { describe, expect, it } from 'vitest';
import { estimateBudget, usersWithin } from './estimate-budget.ts';
import { planAgainst } from './simulated-plans.fixture.ts';

const COSTS = { users: 1_000, cpuMsPerUser: 6, msPerUser: 2 };
const GROUPS = [
  { isCounted: true, users: 10, reads: 900, readers: 9, squares: 90_000, frequent: 10 },
  { isCounted: true, users: 100, reads: 80, readers: 40, squares: 80, frequent: 0 },
  { isCounted: false, users: 0, reads: 20, readers: 18, squares: 20, frequent: 0 },
];

describe('a budget', () => {
  it('of a share covers that share of the users, at least one', () => {
    expect(usersWithin({ share: 0.25 }, COSTS)).toBe(250);
    expect(usersWithin({ share: 0.0001 }, COSTS)).toBe(1);
    expect(usersWithin({ share: 1 }, COSTS)).toBe(1_000);
  });

  it('of CPU minutes covers users at the cost of earlier runs; unknown before a run has recorded its CPU time', () => {
    expect(usersWithin({ cpuMinutes: 0.01 }, COSTS)).toBe(100);
    expect(usersWithin({ cpuMinutes: 60 }, COSTS)).toBe(1_000);
    expect(usersWithin({ cpuMinutes: 60 }, { ...COSTS, cpuMsPerUser: null })).toBeNull();
  });
});

describe('an estimate', () => {
  it('gives the share of later reads by the users with the most reads before, and the cost of scoring them', () => {
    expect(estimateBudget(10, GROUPS, COSTS)).toMatchObject({
      share: 0.01,
      users: 10,
      reads: 0.9,
      readers: 9 / 67,
      cpuMinutes: 0.001,
      seconds: 0.02,
    });
    expect(estimateBudget(60, GROUPS, COSTS).reads).toBeCloseTo(0.94, 6);
    expect(estimateBudget(110, GROUPS, COSTS).reads).toBeCloseTo(0.98, 6);
  });

  it('counts the reads of users without a count: a budget above the counted users covers a part of these', () => {
    expect(estimateBudget(555, GROUPS, COSTS).reads).toBeCloseTo(0.99, 6);
    const all = { reads: 1, readers: 1, readsInterval: { low: 1, high: 1 }, seconds: 2 };
    expect(estimateBudget(1_000, GROUPS, COSTS)).toMatchObject(all);
  });

  it('is null for reads if too few are counted, and for CPU if none is recorded', () => {
    const few = GROUPS.map((group) => ({ ...group, reads: group.reads / 10 }));
    for (const groups of [[], few]) {
      expect(estimateBudget(100, groups, { ...COSTS, cpuMsPerUser: null })).toEqual({
        share: 0.1,
        users: 100,
        reads: null,
        readsInterval: null,
        readers: null,
        cpuMinutes: null,
        seconds: 0.2,
      });
    }
  });
});

// The long test has all loads. Before, the figures of the first three were 91 %, 99 % and 83 %.
describe('an estimate of simulated reads is within three points of the true share, which its interval covers', () => {
  it.each([
    { law: 0.6, perDay: 0.05, true: 0.45 },
    { law: 0.9, perDay: 0.05, true: 0.71 },
    { law: 'uniform', perDay: 0.05, true: 0.25 },
    { law: 0.6, perDay: 0.3, churn: 0.1, true: 0.456 },
    { law: 'two classes', perDay: 0.3, visit: 5, true: 0.568 },
  ] as const)('$law, $perDay reads a day', ({ true: share, ...load }) => {
    const found = planAgainst(load, 0.25, 10);
    expect(Math.abs(found.truth - share)).toBeLessThan(0.02);
    expect(Math.abs(found.estimate - found.truth)).toBeLessThan(0.03);
    expect(found.covered).toBeGreaterThanOrEqual(0.9);
  });

  it('is given from 2,000 reads in two weeks on, and not for a twentieth of them', () => {
    expect(planAgainst({ law: 0.6, perDay: 2_000 / 140_000 }, 0.25, 10)).toMatchObject({ unknown: 0 });
    expect(planAgainst({ law: 0.6, perDay: 100 / 140_000 }, 0.25, 10)).toMatchObject({ unknown: 1 });
  });

  it('is not given on the first two days, however many reads are counted', () => {
    expect(planAgainst({ law: 0.6, perDay: 2, days: 2 }, 0.25, 2)).toMatchObject({ unknown: 1 });
  });
});
