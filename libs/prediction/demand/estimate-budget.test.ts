import { describe, expect, it } from 'vitest';
import { estimateBudget, HALF_LIFE_MS, usersWithin } from './estimate-budget.ts';

const COSTS = { users: 1_000, cpuMsPerUser: 6, msPerUser: 2 };
const GROUPS = [
  { users: 10, weight: 90 },
  { users: 100, weight: 1 },
];
const DAY_MS = 86_400_000;

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
  it('gives the share of reads by the most read users, and the cost of scoring them', () => {
    expect(estimateBudget(10, GROUPS, COSTS, DAY_MS)).toMatchObject({
      share: 0.01,
      users: 10,
      reads: 0.9,
      cpuMinutes: 0.001,
      seconds: 0.02,
    });
    expect(estimateBudget(60, GROUPS, COSTS, DAY_MS).reads).toBe(0.95);
    expect(estimateBudget(1_000, GROUPS, COSTS, DAY_MS)).toMatchObject({ reads: 1, readers: 1, seconds: 2 });
  });

  it('gives the share of read users that is covered, which approaches the share of all users over time', () => {
    const readers = (forMs: number) => estimateBudget(10, GROUPS, COSTS, forMs).readers ?? 0;
    // In half a minute hardly any user is read twice, so the share of readers equals the share of reads.
    expect(readers(30_000)).toBeCloseTo(0.9, 2);
    expect(readers(100 * HALF_LIFE_MS)).toBeCloseTo(10 / 110, 6);
  });

  it('is null for reads if none are counted, and for CPU if none is recorded', () => {
    expect(estimateBudget(100, [], { ...COSTS, cpuMsPerUser: null }, DAY_MS)).toEqual({
      ...{ share: 0.1, users: 100, reads: null, readers: null, cpuMinutes: null, seconds: 0.2 },
    });
  });
});
