import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { ArmSample } from '../sequential/effect.ts';
import { compareOutcome } from './compare-outcome.ts';

const equalArms = {
  stable: { users: 2_000, sum: 19680.381, sumOfSquares: 224683.689785 },
  arm: { users: 2_000, sum: 20642.768, sumOfSquares: 253379.228072 },
};
const unequalArms = {
  stable: { users: 60_000, sum: 41701.865, sumOfSquares: 293007.569999 },
  arm: { users: 900, sum: 842.693, sumOfSquares: 6474.262991 },
};
const asked = {
  name: 'order',
  kind: 'sum',
  armName: 'b',
  better: 'higher',
  alpha: 0.05,
  minimumEffect: 0.05,
  days: 10,
} as const;

describe('an outcome compared', () => {
  it('of equal arms is close to that of GrowthBook, which is tuned for 5,000 users', () => {
    // The reference figures are from gbstats 0.8.0, `SequentialTwoSidedTTest` with alpha 0.05.
    const { difference, relative } = compareOutcome({ ...equalArms, ...asked });
    expect(difference?.estimate).toBeCloseTo(0.4811935, 10);
    expect(relative?.estimate).toBeCloseTo(0.04890083174710913, 10);
    for (const [ours, theirs] of [
      [difference?.upper, 0.8873366002138523],
      [difference?.lower, 0.07505039978615086],
    ] as const)
      expect(Math.abs((ours ?? 0) - theirs)).toBeLessThan(0.06 * (0.887 - 0.075));
  });

  it('of a small arm is at least as wide as the pooled variance requires', () => {
    const { difference } = compareOutcome({ ...unequalArms, ...asked });
    const pooled = { users: 60_900, sum: 41701.865 + 842.693, sumOfSquares: 293007.569999 + 6474.262991 };
    const variance = (pooled.sumOfSquares - pooled.sum ** 2 / pooled.users) / pooled.users;
    const error = Math.sqrt(variance * (1 / 60_000 + 1 / 900));
    expect(difference?.estimate).toBeCloseTo(0.24129447, 6);
    expect(((difference?.upper ?? 0) - (difference?.lower ?? 0)) / 2).toBeGreaterThan(2.8 * error);
  });

  it('rejects at alpha exactly when its interval excludes 0', () => {
    const share = fc.double({ min: 0.05, max: 0.95, noNaN: true });
    fc.assert(
      fc.property(share, share, fc.integer({ min: 20, max: 100_000 }), (p, q, users) => {
        const of = (mean: number) => ({ users, sum: users * mean, sumOfSquares: users * mean });
        const { difference, relative, pValue } = compareOutcome({ stable: of(q), arm: of(p), ...asked });
        if (difference === null) throw new Error('no interval');
        if (Math.abs(pValue - 0.05) < 1e-9) return;
        expect(difference.lower > 0 || difference.upper < 0).toBe(pValue < 0.05);
        if (relative !== null) expect(relative.lower > 0 || relative.upper < 0).toBe(pValue < 0.05);
      }),
    );
  });

  it('is empty if all values are equal', () => {
    const nobody: ArmSample = { users: 0, sum: 0, sumOfSquares: 0 };
    const none: ArmSample = { users: 500, sum: 0, sumOfSquares: 0 };
    for (const [stable, arm] of [
      [nobody, nobody],
      [none, none],
      [none, nobody],
    ] as const) {
      const { difference, relative, pValue, power, conclusion } = compareOutcome({ stable, arm, ...asked });
      expect([difference, relative, conclusion.kind]).toEqual([null, null, 'no_data']);
      expect(pValue).toBeCloseTo(1, 12);
      expect(power).toEqual({ detectableEffect: null, usersNeeded: null, moreDays: null });
    }
  });
});

describe('the users still needed', () => {
  it('are fewer as days pass, and none at the end', () => {
    const after = (days: number) => {
      const users = 400 * days;
      const arm = { users, sum: users * 0.1, sumOfSquares: users * 0.1 };
      return compareOutcome({ ...asked, stable: arm, arm, minimumEffect: 0.1, days }).power;
    };
    const first = after(5);
    expect(first.usersNeeded).toBeGreaterThan(29_000);
    expect(first.moreDays).toEqual({
      lower: Math.ceil((first.usersNeeded ?? 0) / 3 / 800 - 5),
      upper: Math.ceil((3 * (first.usersNeeded ?? 0)) / 800 - 5),
    });
    // The two figures are not exactly equal, since the estimate of the variance improves.
    expect((after(20).usersNeeded ?? 0) / (first.usersNeeded ?? 0)).toBeCloseTo(1, 2);
    expect((first.moreDays?.upper ?? 0) - (after(20).moreDays?.upper ?? 0)).toBeCloseTo(15, -1);
    expect(after(200).moreDays?.lower).toBe(0);
    expect(after(400).moreDays).toEqual({ lower: 0, upper: 0 });
    expect(after(5).detectableEffect).toBeGreaterThan(0.1);
    expect(after(200).detectableEffect).toBeLessThan(0.1);
  });

  it('are unknown if the stable mean may be 0', () => {
    const arm = { users: 1_000, sum: 0, sumOfSquares: 1_000 };
    const { power, relative } = compareOutcome({ stable: arm, arm, ...asked });
    expect([power.detectableEffect, power.usersNeeded, power.moreDays, relative]).toEqual([null, null, null, null]);
  });
});
