/** Reference figures of the single look: statsmodels 0.15.0 (`NormalIndPower().solve_power`, two-sided, power 0.8). */
import { describe, expect, it } from 'vitest';
import { alwaysValidP, logEvidenceOfDifference } from '../sequential/confidence-sequence.ts';
import { addSamples, drawNormal, drawSample, randomFrom } from '../sequential/draws.fixture.ts';
import { differenceOf, zOf } from '../sequential/effect.ts';
import { usersPerArmForMean, usersPerArmForShare } from './power.ts';
import { evidenceOfDifference, SIMULATED_METRICS, simulate } from './simulated-experiments.fixture.ts';

const fixed = { alpha: 0.05, power: 0.8, looks: 'fixed' } as const;
const sequential = { alpha: 0.05, power: 0.8, looks: 'sequential' } as const;

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
 * Tests the claim of docs/experiments.md: daily looks for four weeks need at most 2.1 times the users of a single look.
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

  it.each([
    ['binary, 2 %', 0.5, -0.2, usersPerArmForShare(0.02, -0.2, fixed)],
    ['binary, 8 %', 0.5, -0.1, usersPerArmForShare(0.08, -0.1, fixed)],
    ['binary, 8 %', 0.1, -0.2, usersPerArmForShare(0.08, -0.2, fixed)],
    ['binary, 8 %', 0.01, -0.2, usersPerArmForShare(0.08, -0.2, fixed)],
    // The coefficient of variation if 8 % of users have a Pareto 2.2 value: the mean of a buyer is 1.8333, the second
    // moment 11.
    ['Pareto 2.2, 8 % buy', 0.5, -0.3, usersPerArmForMean(0.146667, Math.sqrt(0.88 - 0.146667 ** 2), -0.3, fixed)],
  ] as const)(
    'daily looks do for %s, with an arm of %d of the users and an effect of %d',
    (name, share, effect, perArm) => {
      const metric = SIMULATED_METRICS.find((one) => one.name === name);
      if (!metric || perArm === null) throw new Error(`no plan for ${name}`);
      const experiments = 1_000;
      const found = new Set<number>();
      // Unequal arms get as many users as give the same information.
      const fixedUsers = (perArm / 2) * (1 / share + 1 / (1 - share));
      const usersPerLook = Math.round((2.1 * fixedUsers) / LOOKS);
      const simulation = { draw: metric.draw, share, usersPerLook, looks: LOOKS, experiments, effect, seed: 4 };
      simulate(simulation, (experiment, _, stable, arm) => {
        if (evidenceOfDifference(stable, arm, 0.05) < NEEDED) return false;
        found.add(experiment);
        return true;
      });
      // Two standard deviations of a share of 1,000 draws are 0.025.
      expect(found.size / experiments).toBeGreaterThanOrEqual(0.8 - 0.025);
    },
  );
});
