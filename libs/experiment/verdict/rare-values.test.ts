/**
 * One user in 2,000 has 10,000, and the arm loses these users. Without a cap, "not worse than 10 %" is concluded before
 * the first of them is seen. rare-values.long.test.ts has more cases.
 */
import { describe, expect, it } from 'vitest';
import { mostOf } from '../sequential/draws.fixture.ts';
import type { ArmSample } from '../sequential/effect.ts';
import { compareOutcome } from './compare-outcome.ts';
import { checkOutcome } from './outcome-check.ts';
import { everRuledOut, type RareLoss, RULE, rateOfATenth } from './rare-values.fixture.ts';
import type { ArmFigures } from './rollout-figures.ts';

const RARE: RareLoss = { mean: 10, deviation: 8, value: 10_000, rate: 1 / 2_000, share: 0.5, usersPerLook: 200 };
const asked = { name: 'spent', armName: 'b', better: 'higher', alpha: 0.05, minimumEffect: 0.1, days: 10 } as const;
const sample = (users: number, mean: number, deviation: number, largest = 0): ArmSample => {
  const [sum, sumOfSquares] = [users * mean + largest, users * (mean ** 2 + deviation ** 2) + largest ** 2];
  return { users: users + (largest === 0 ? 0 : 1), sum, sumOfSquares, largest: largest || mean };
};

describe('an arm that loses rare large values', () => {
  it('passes far too often without a cap, as the documentation says', () => {
    expect(everRuledOut(RARE, 'guardrail', 1)).toBeGreaterThan(0.37);
  });

  it.each([
    ['guardrail', 10, 3, 200, 60],
    ['guardrail', 1, 1, 200, 60],
    // A comparison takes a millisecond.
    ['conclusion', 1, 1, 60, 25],
  ] as const)('passes in at most 2.5 % with a cap, as a %s of %d ± %d', (by, mean, deviation, experiments, looks) => {
    const rate = rateOfATenth(mean, 500);
    const atMargin: RareLoss = { ...RARE, mean, deviation, cap: 500, rate, experiments, looks };
    expect(experiments * everRuledOut(atMargin, by, 2)).toBeLessThan(mostOf(experiments, 0.025));
  });

  it('passes with a cap if the capped loss is below the margin', () => {
    expect(everRuledOut({ ...RARE, cap: 500, experiments: 40, usersPerLook: 5_000 }, 'guardrail', 3)).toBeGreaterThan(
      0.8,
    );
  });
});

describe('one absurd value', () => {
  const clean = sample(20_000, 10, 5);
  it.each([1e5, 1e9, 1e15])('of %d decides nothing, and the sentence names its share of the sum', (value) => {
    const { conclusion, arm } = compareOutcome({ ...asked, stable: clean, arm: sample(20_000, 10, 5, value) });
    expect(arm.largest).toBe(value);
    expect(conclusion.kind).toBe('undecided');
    const share = Number(((100 * value) / (200_000 + value)).toPrecision(3));
    expect(conclusion.text).toContain(`one user holds ${share} % of the sum of b, which a cap would limit`);
  });

  it('is decided with a cap, without the hint', () => {
    const { conclusion } = compareOutcome({ ...asked, stable: clean, arm: sample(20_000, 10, 5, 500), cap: 500 });
    expect(conclusion).toEqual({
      kind: 'no_difference',
      text: 'spent: no difference above 10 % between b and stable',
    });
    const few = compareOutcome({ ...asked, stable: sample(50, 10, 5), arm: sample(50, 10, 5, 500), cap: 500 });
    expect(few.conclusion.text).not.toContain('one user holds');
  });
});

describe('a verdict that four users with the largest value could change', () => {
  const [stable, arm] = [sample(2_000, 10, 2, 400), sample(2_000, 10, 2)];
  const figures = (name: string, spent: ArmSample): ArmFigures => ({
    ...{ name, weight: 1, users: spent.users, reads: spent.users, errors: 0, slow: 0, scores: [] },
    ...{ sources: {}, outcomes: { spent } },
  });
  const checked = (one: ArmSample, other: ArmSample) =>
    checkOutcome(RULE, 20, figures('stable', one), figures('b', other), { worse: 0.05, notWorse: 0.05 });

  it('is not given, and the sentence names the value', () => {
    const { largest: _, ...unknown } = stable;
    const { largest: __, ...other } = arm;
    expect(checked(unknown, other).state).toBe('pass');
    expect(checked(stable, arm)).toMatchObject({
      state: 'inconclusive',
      why: expect.stringContaining('of the stable mean: 4 more users with a value of 400 could change that'),
    });
    expect(compareOutcome({ ...asked, stable: unknown, arm: other }).conclusion.kind).toBe('no_difference');
    expect(compareOutcome({ ...asked, stable, arm }).conclusion).toEqual({
      kind: 'undecided',
      text: 'spent: not decided between b and stable; no difference is seen, but 4 more users with a value of 400 could change that',
    });
  });

  it('is given with more users; a negative value counts by its amount', () => {
    expect(checked(sample(20_000, 10, 2, 400), sample(20_000, 10, 2)).state).toBe('pass');
    expect(checked(sample(2_000, 10, 2, -400), sample(2_000, 10, 2)).why).toContain('with a value of -400');
  });
});
