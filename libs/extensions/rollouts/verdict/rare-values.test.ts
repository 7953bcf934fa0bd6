/**
 * One user in 2,000 has 10,000, and the arm loses these users. Without a cap, "not worse than 10 %" is concluded before
 * the first of them is seen. rare-values.long.test.ts has more cases.
 */
import { describe, expect, it } from 'vitest';
import type { ArmSample } from '../sequential/effect.ts';
import { compareOutcome } from './compare-outcome.ts';
import { checkOutcome } from './outcome-check.ts';
import { ASKED, everRuledOut, type RareLoss, RULE, rateOfATenth } from './rare-values.fixture.ts';
import { armWith } from './simulated-experiments.fixture.ts';

const RARE: RareLoss = { mean: 10, deviation: 8, value: 10_000, rate: 1 / 2_000, share: 0.5, usersPerLook: 200 };
const sample = (users: number, mean: number, deviation: number, largest = 0): ArmSample => {
  const [sum, sumOfSquares] = [users * mean + largest, users * (mean ** 2 + deviation ** 2) + largest ** 2];
  return { users: users + (largest === 0 ? 0 : 1), sum, sumOfSquares, largest: largest || mean };
};

describe('an arm that loses rare large values', () => {
  it('passes far too often without a cap: in 46 %, as the documentation says', () => {
    // Two standard deviations of a share of 200 draws are 0.07.
    expect(everRuledOut(RARE, 'guardrail', 1)).toBeGreaterThan(0.46 - 0.07);
    expect(everRuledOut(RARE, 'guardrail', 1)).toBeLessThan(0.46 + 0.07);
  });

  it.each([
    ['guardrail', 10, 3, 200, 60],
    ['guardrail', 1, 1, 200, 60],
    // A comparison takes a millisecond.
    ['conclusion', 1, 1, 60, 25],
  ] as const)('passes in at most 2.5 % with a cap, as a %s of %d ± %d', (by, mean, deviation, experiments, looks) => {
    const rate = rateOfATenth(mean, 500);
    const atMargin: RareLoss = { ...RARE, mean, deviation, cap: 500, rate, experiments, looks };
    expect(everRuledOut(atMargin, by, 2)).toBeLessThanOrEqual(0.025);
  });

  it('passes with a cap if the capped loss is below the margin', () => {
    expect(everRuledOut({ ...RARE, cap: 500, experiments: 40, usersPerLook: 5_000 }, 'guardrail', 3)).toBeGreaterThan(
      0.8,
    );
  });
});

describe('an arm that gains rare large negative values', () => {
  it.each([0.5, 0.1])('passes in at most 25 of 1,000 with a cap and a share of %d of the users', (share) => {
    const rate = 1 / (500 + 10);
    const gain: RareLoss = { mean: 10, deviation: 3, value: -10_000, cap: 500, rate, share, usersPerLook: 500 };
    expect(everRuledOut(gain, 'guardrail', 2)).toBeLessThanOrEqual(0.025);
  });
});

describe('one absurd value', () => {
  const clean = sample(20_000, 10, 5);
  it.each([1e5, 1e9, 1e15])('of %d decides nothing, and the sentence names its share of the sum', (value) => {
    const { conclusion, arm } = compareOutcome({ ...ASKED, stable: clean, arm: sample(20_000, 10, 5, value) });
    expect(arm.largest).toBe(value);
    expect(conclusion.kind).toBe('undecided');
    const share = Number(((100 * value) / (200_000 + value)).toPrecision(3));
    expect(conclusion.text).toContain(`one user holds ${share} % of the sum of b, which a cap would limit`);
  });

  it('is decided with a cap, without the hint', () => {
    const { conclusion } = compareOutcome({ ...ASKED, stable: clean, arm: sample(20_000, 10, 5, 500), cap: 500 });
    expect(conclusion).toEqual({
      kind: 'no_difference',
      text: 'spent: no difference above 10 % between b and stable',
    });
    const few = compareOutcome({ ...ASKED, stable: sample(50, 10, 5), arm: sample(50, 10, 5, 500), cap: 500 });
    expect(few.conclusion.text).not.toContain('one user holds');
  });
});

describe('a verdict that four users with the largest value could change', () => {
  const [stable, arm] = [sample(2_000, 10, 2, 400), sample(2_000, 10, 2)];
  const checked = (one: ArmSample, other: ArmSample, cap: number | null = null) => {
    const arms = [armWith('stable', 'spent', one), armWith('b', 'spent', other)] as const;
    return checkOutcome({ ...RULE, cap }, 20, ...arms, { worse: 0.05, notWorse: 0.05 });
  };

  it('is not given, and the sentence names the value', () => {
    const { largest: _, ...unknown } = stable;
    const { largest: __, ...other } = arm;
    expect(checked(unknown, other).state).toBe('pass');
    expect(checked(stable, arm)).toMatchObject({
      state: 'inconclusive',
      why: expect.stringContaining('of the stable mean: 4 more users with a value of 400 could change that'),
    });
    expect(compareOutcome({ ...ASKED, stable: unknown, arm: other }).conclusion.kind).toBe('no_difference');
    expect(compareOutcome({ ...ASKED, stable, arm }).conclusion).toEqual({
      kind: 'undecided',
      text: expect.stringMatching(
        /^spent: not decided between b and stable; no difference is seen, but 4 more users with a value of 400 could change that; [a-z0-9 ]+ more days to find or rule out a difference of 10 %$/,
      ),
    });
  });

  it('is given with more users; a negative value counts by its amount', () => {
    expect(checked(sample(20_000, 10, 2, 400), sample(20_000, 10, 2)).state).toBe('pass');
    expect(checked(sample(2_000, 10, 2, -400), sample(2_000, 10, 2)).why).toContain('with a value of -400');
    expect(checked(sample(2_000, 10, 2), sample(2_000, 10, 2), 400).why).toContain('with a value of 400 or -400');
  });
});
