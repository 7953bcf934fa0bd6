/**
 * Reference figures: gbstats 0.8.0, GrowthBook's own package (`SequentialTwoSidedTTest` with alpha 0.05, `TwoSidedTTest`),
 * and SciPy 1.17.1 (`stats.ttest_ind` with unequal variances, of the samples behind these sums).
 */
import fc from 'fast-check';
import { describe, expect, it, test } from 'vitest';
import type { ArmSample } from './arm-sample.ts';
import { compareOutcome } from './compare-outcome.ts';
import { fixedHorizonTest } from './fixed-horizon-test.ts';

const equalArms = {
  stable: { users: 2_000, sum: 19680.381, sumOfSquares: 224683.689785 },
  arm: { users: 2_000, sum: 20642.768, sumOfSquares: 253379.228072 },
};
const smallArms = {
  stable: { users: 40, sum: 192.031, sumOfSquares: 1010.635493 },
  arm: { users: 25, sum: 173.484, sumOfSquares: 1385.4231340000001 },
};
const unequalArms = {
  stable: { users: 60_000, sum: 41701.865, sumOfSquares: 293007.569999 },
  arm: { users: 900, sum: 842.693, sumOfSquares: 6474.262991 },
};
const binary = {
  stable: { users: 5_000, sum: 500, sumOfSquares: 500 },
  arm: { users: 5_000, sum: 600, sumOfSquares: 600 },
};
const asked = { alpha: 0.05, minimumEffect: 0.05, days: 10 };

test.each([
  ['equal arms', equalArms, 0.0003194399941996809, 0.21929444489204103, 0.7430925551079621],
  ['small arms', smallArms, 0.0011239404691721444, 0.9189762483927872, 3.358193751607211],
  ['unequal arms', unequalArms, 0.0042833196262938205, 0.07592751075215975, 0.40666143369228447],
])('a single look at %s is as SciPy has it', (_, { stable, arm }, pValue, lower, upper) => {
  const result = fixedHorizonTest(stable, arm, 0.05);
  expect(result?.pValue).toBeCloseTo(pValue, 10);
  expect(result?.lower).toBeCloseTo(lower, 8);
  expect(result?.upper).toBeCloseTo(upper, 8);
});

describe('an outcome compared', () => {
  it('has the interval and the p-value of the sequential test that GrowthBook has', () => {
    const { difference, relative, pValue } = compareOutcome({ ...equalArms, ...asked });
    expect(difference?.estimate).toBeCloseTo(0.4811935, 10);
    expect(difference?.lower).toBeCloseTo(0.07505039978615086, 10);
    expect(difference?.upper).toBeCloseTo(0.8873366002138523, 10);
    expect(pValue).toBeCloseTo(0.009973726259818383, 10);
    expect(relative?.estimate).toBeCloseTo(0.04890083174710913, 10);
    expect(relative?.lower).toBeCloseTo(0.006737330780205546, 10);
    expect(relative?.upper).toBeCloseTo(0.09106433271401271, 10);
  });

  it('has it of a binary outcome', () => {
    const { difference, relative, pValue } = compareOutcome({ ...binary, ...asked });
    expect(difference?.lower).toBeCloseTo(0.0008497746472337121, 10);
    expect(difference?.upper).toBeCloseTo(0.03915022535276627, 10);
    expect(pValue).toBeCloseTo(0.03351822710208634, 10);
    expect(relative?.lower).toBeCloseTo(-0.00999459778049916, 10);
  });

  /** The same as GrowthBook's with its tuning for 85,852.08… users: 5,000 × 60,900 / (4 / (1/60,000 + 1/900)). */
  it('of unequal arms is tuned for what they know, not for their total', () => {
    const { difference, relative, pValue } = compareOutcome({ ...unequalArms, ...asked });
    expect(difference?.lower).toBeCloseTo(-0.015436652337747436, 8);
    expect(difference?.upper).toBeCloseTo(0.49802559678219166, 8);
    expect(pValue).toBeCloseTo(0.0791828888264184, 8);
    expect(relative?.upper).toBeCloseTo(0.7181029074024647, 8);
  });

  it('rejects at alpha exactly where its interval leaves 0', () => {
    const share = fc.double({ min: 0.05, max: 0.95, noNaN: true });
    fc.assert(
      fc.property(share, share, fc.integer({ min: 20, max: 100_000 }), (p, q, users) => {
        const of = (mean: number) => ({ users, sum: users * mean, sumOfSquares: users * mean });
        const { difference, pValue } = compareOutcome({ stable: of(q), arm: of(p), ...asked });
        if (difference === null) throw new Error('no interval');
        if (Math.abs(pValue - 0.05) < 1e-9) return;
        expect(difference.lower > 0 || difference.upper < 0).toBe(pValue < 0.05);
      }),
    );
  });

  it('says nothing where nothing varies', () => {
    const nobody: ArmSample = { users: 0, sum: 0, sumOfSquares: 0 };
    const none: ArmSample = { users: 500, sum: 0, sumOfSquares: 0 };
    for (const [stable, arm] of [
      [nobody, nobody],
      [none, none],
      [none, nobody],
    ] as const) {
      const { difference, relative, pValue, fixedHorizon, power } = compareOutcome({ stable, arm, ...asked });
      expect([difference, relative, fixedHorizon, pValue]).toEqual([null, null, null, 1]);
      expect(power).toEqual({ detectableEffect: null, usersNeeded: null, moreDays: null });
    }
  });
});

describe('what is still needed', () => {
  it('is fewer days as they go by, and none in the end', () => {
    const after = (days: number) => {
      const users = 400 * days;
      const arm = { users, sum: users * 0.1, sumOfSquares: users * 0.1 };
      return compareOutcome({ stable: arm, arm, alpha: 0.05, minimumEffect: 0.1, days }).power;
    };
    const first = after(5);
    expect(first.usersNeeded).toBeGreaterThan(29_000);
    expect(first.moreDays).toBe(Math.ceil((first.usersNeeded ?? 0) / 800 - 5));
    // Not the same to the user: the estimate of the variance gets better.
    expect((after(20).usersNeeded ?? 0) / (first.usersNeeded ?? 0)).toBeCloseTo(1, 2);
    expect((first.moreDays ?? 0) - (after(20).moreDays ?? 0)).toBe(15);
    expect(after(200).moreDays).toBe(0);
    expect(after(5).detectableEffect).toBeGreaterThan(0.1);
    expect(after(200).detectableEffect).toBeLessThan(0.1);
  });

  it('is unknown without a stable mean to be relative to', () => {
    const arm = { users: 1_000, sum: 0, sumOfSquares: 1_000 };
    const { power, relative } = compareOutcome({ stable: arm, arm, ...asked });
    expect([power.detectableEffect, power.usersNeeded, power.moreDays, relative]).toEqual([null, null, null, null]);
  });
});
