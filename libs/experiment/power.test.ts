/** Reference figures of the single look: statsmodels 0.15.0 (`NormalIndPower().solve_power`, two-sided, power 0.8). */
import { describe, expect, it } from 'vitest';
import { informationOf, logEvidenceOfDifference } from './confidence-sequence.ts';
import { addSamples, drawSample, randomFrom } from './draws.fixture.ts';
import { alwaysValidP } from './e-value.ts';
import { differenceOf, zOf } from './effect.ts';
import { usersPerArmForMean, usersPerArmForShare } from './power.ts';

const fixed = { alpha: 0.05, power: 0.8, looks: 'fixed' } as const;
const sequential = { alpha: 0.05, power: 0.8, looks: 'sequential' } as const;

describe('the users that a test needs', () => {
  it('are as statsmodels has them for a single look', () => {
    expect(usersPerArmForShare(0.1, 0.1, fixed)).toBe(14_749);
    expect(usersPerArmForShare(0.02, 0.2, fixed)).toBe(21_106);
    expect(usersPerArmForMean(10, 8, 0.05, fixed)).toBe(4_019);
  });

  it('are more where one may look at any time', () => {
    const ratio = (usersPerArmForShare(0.1, 0.1, sequential) ?? 0) / 14_749;
    expect(ratio).toBeGreaterThan(1.5);
    expect(ratio).toBeLessThan(2.5);
  });

  it('are none at all for no effect', () => {
    expect(usersPerArmForShare(0.1, 0, sequential)).toBeNull();
    expect(usersPerArmForMean(0, 8, 0.1, sequential)).toBeNull();
  });

  it('find the effect at the planned size, looking daily, with at least the planned probability', () => {
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
        const information = informationOf(stable.users + arm.users, 0.05);
        last = alwaysValidP(logEvidenceOfDifference(zOf(differenceOf(stable, arm)), information));
        everBelow ||= last <= 0.05;
      }
      if (everBelow) found++;
      if (last <= 0.05) foundAtTheEnd++;
    }
    // Four standard deviations of 2,000 tosses are 0.036.
    expect(foundAtTheEnd / experiments).toBeGreaterThan(0.8 - 0.036);
    expect(foundAtTheEnd / experiments).toBeLessThan(0.8 + 0.036);
    expect(found).toBeGreaterThanOrEqual(foundAtTheEnd);
    expect(found / experiments).toBeLessThan(0.95);
  });
});
