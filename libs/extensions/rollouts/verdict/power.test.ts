/** Reference figures of the single look: statsmodels 0.15.0 (`NormalIndPower().solve_power`, two-sided, power 0.8). */

import { addSamples, drawNormal, drawSample, randomFrom } from '@tandem/experiment/distributions/draws.fixture';
import { describe, expect, it } from 'vitest';
import { alwaysValidP, logEvidenceOfDifference } from '../sequential/confidence-sequence.ts';
import { differenceOf, zOf } from '../sequential/effect.ts';
import { foundWith } from './needed-users.fixture.ts';
import { detectableDifference, neededGrowth, type TestPlan } from './power.ts';

const fixed = { alpha: 0.05, power: 0.8, looks: 'fixed' } as const;
const sequential = { alpha: 0.05, power: 0.8, looks: 'sequential' } as const;

/** Returns the users of each of two equal arms that find the difference of two means, from large samples. */
function usersPerArm(mean: number, other: number, variances: readonly [number, number], plan: TestPlan): number | null {
  const growth = neededGrowth((users) => {
    const [stable, arm] = [mean, other].map((one, no) => {
      return { users, sum: users * one, sumOfSquares: users * one * one + (users - 1) * (variances[no] ?? 0) };
    });
    const detectable = stable && arm && users >= 2 ? detectableDifference(stable, arm, plan) : null;
    return detectable !== null && detectable <= Math.abs(other - mean);
  });
  return growth === null ? null : Math.ceil(growth);
}

function usersPerArmForShare(p: number, effect: number, plan: TestPlan): number | null {
  const other = p * (1 + effect);
  return usersPerArm(p, other, [p * (1 - p), other * (1 - other)], plan);
}

function usersPerArmForMean(mean: number, deviation: number, effect: number, plan: TestPlan): number | null {
  return usersPerArm(mean, mean * (1 + effect), [deviation ** 2, deviation ** 2], plan);
}

describe('the users that a test needs', () => {
  it('are those of statsmodels for a single look', () => {
    expect(usersPerArmForShare(0.1, 0.1, fixed)).toBe(14_749);
    expect(usersPerArmForShare(0.02, 0.2, fixed)).toBe(21_106);
    expect(usersPerArmForMean(10, 8, 0.05, fixed)).toBe(4_019);
  });

  it('are more if looks are allowed at any time', () => {
    const ratio = (usersPerArmForShare(0.1, 0.1, sequential) ?? 0) / 14_749;
    expect(ratio).toBeGreaterThan(1.5);
    expect(ratio).toBeLessThan(2.5);
  });

  it('are null for no effect, which no test can find', () => {
    expect(usersPerArmForShare(0.1, 0, sequential)).toBeNull();
    expect(usersPerArmForMean(0, 8, 0.1, sequential)).toBeNull();
  });

  it('find the effect at the planned size, with daily looks, with at least the planned probability', () => {
    const users = usersPerArmForMean(10, 8, 0.05, sequential) ?? 0;
    const experiments = 2_000;
    const random = randomFrom(11);
    let [found, foundAtTheEnd] = [0, 0];
    for (let experiment = 0; experiment < experiments; experiment++) {
      const days = Array.from({ length: 14 }, () => users / 14);
      let [stable, arm] = [drawSample(random, days[0] ?? 0, 10, 8), drawSample(random, days[0] ?? 0, 10.5, 8)];
      let [everBelow, last] = [false, 1];
      for (const today of days.slice(1)) {
        stable = addSamples(stable, drawSample(random, today, 10, 8));
        arm = addSamples(arm, drawSample(random, today, 10.5, 8));
        const size = { users: stable.users + arm.users, alpha: 0.05 };
        last = alwaysValidP(logEvidenceOfDifference(zOf(differenceOf(stable, arm)), size));
        everBelow ||= last <= 0.05;
      }
      if (everBelow) found++;
      if (last <= 0.05) foundAtTheEnd++;
    }
    // Four standard deviations of a share of 2,000 draws are 0.036.
    expect(foundAtTheEnd / experiments).toBeGreaterThan(0.8 - 0.036);
    expect(foundAtTheEnd / experiments).toBeLessThan(0.8 + 0.036);
    expect(found).toBeGreaterThanOrEqual(foundAtTheEnd);
    expect(found / experiments).toBeLessThan(0.95);
  });
});

/**
 * Tests the claim of docs/experiments.md: in two equal arms, daily looks for four weeks need at most 2.1 times the users
 * of a single look.
 */
describe('with 2.1 times the users for which a single look finds the effect with a probability of 0.8', () => {
  const LOOKS = 28;
  const NEEDED = -Math.log(0.05);

  it.each([1e3, 3e3, 1e4, 3e4, 1e5, 3e5, 1e6])('daily looks at equal arms find it too (%d users)', (fixedUsers) => {
    const random = randomFrom(3);
    const experiments = 8_000;
    const usersPerLook = (2.1 * fixedUsers) / LOOKS;
    // The effect that a single look at `fixedUsers` finds with a probability of 0.8, in standard deviations of one
    // user.
    const drift = (1.959964 + 0.841621) / Math.sqrt(fixedUsers);
    let found = 0;
    for (let experiment = 0; experiment < experiments; experiment++) {
      let sum = 0;
      for (let look = 1; look <= LOOKS; look++) {
        sum += drift * usersPerLook + Math.sqrt(usersPerLook) * drawNormal(random);
        const users = look * usersPerLook;
        if (logEvidenceOfDifference(sum / Math.sqrt(users), { users, alpha: 0.05 }) < NEEDED) continue;
        found++;
        break;
      }
    }
    expect(found / experiments).toBeGreaterThanOrEqual(0.8);
  });
});

/** Rows of the table of docs/experiments.md, with the upper ends of their intervals. */
describe('the effect that a single look finds with a probability of 0.8', () => {
  it.each([
    ['ab', 0.08, 0.1, 0.01, 2.1],
    ['ab', 0.02, -0.2, 0.1, 2.5],
    ['ab', 0.08, -0.3, 0.01, 2.9],
    ['canary', 0.08, -0.1, 0.5, 3.1],
    ['canary', 0.02, -0.2, 0.01, 3.8],
  ] as const)('is found too by %s of %d with an effect of %d, in an arm of %d, with %d times the users', (...row) => {
    const [by, p, effect, share, times] = row;
    const experiments = 1_000;
    // Two standard deviations of a share of 1,000 draws are 0.025.
    expect(foundWith(times, by, { p, effect, share }, experiments) / experiments).toBeGreaterThan(0.8 - 0.025);
    const fewer = times === 2.1 ? 1.7 : 2.1;
    expect(foundWith(fewer, by, { p, effect, share }, experiments) / experiments).toBeLessThan(0.8 - 0.025);
  });
});
