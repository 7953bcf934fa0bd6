/** Simulates forecasts of needed users, which are compared with the number that the true distribution needs. */
import { addSamples, randomFrom } from '@tandem/experiment/distributions/draws.fixture';
import type { ArmSample } from '../sequential/effect.ts';
import { compareOutcome } from './compare-outcome.ts';
import { uncertain } from './power.ts';
import { ALPHA, NO_USERS, type SimulatedMetric, simulate } from './simulated-experiments.fixture.ts';

/** The users of an arm each day: few, and enough for a forecast of each metric. */
const ARM_USERS = 10_000;
const USERS = 1_000;

function compared({ kind, cap }: SimulatedMetric, stable: ArmSample, arm: ArmSample) {
  const rule = { name: 'order', kind, cap, better: 'higher', minimumEffect: 0.1 } as const;
  return compareOutcome({ ...rule, armName: 'b', alpha: ALPHA, days: 1, stable, arm });
}

/**
 * Returns the number of users that the metric needs, from samples of that size: the largest value seen counts, and
 * grows with them.
 */
export function trueNeed(metric: SimulatedMetric, share: number): number {
  const random = randomFrom(99);
  let users = 1e6;
  for (let round = 0; round < 2; round++) {
    const [arm, stable] = [metric.draw(random, users * share), metric.draw(random, users * (1 - share))];
    users = compared(metric, stable, arm).power.usersNeeded ?? Number.NaN;
  }
  return users;
}

/** Returns the median of the forecasts from samples with 30,000 users in the arm. */
export function medianForecast(metric: SimulatedMetric, share: number): number {
  const random = randomFrom(8);
  const all = Array.from({ length: 41 }, () => {
    const [arm, stable] = [metric.draw(random, 30_000), metric.draw(random, (30_000 * (1 - share)) / share)];
    return compared(metric, stable, arm).power.usersNeeded;
  });
  const given = all.filter((one) => one !== null).sort((a, b) => a - b);
  return given[given.length >> 1] ?? Number.NaN;
}

/**
 * Returns the share of experiments that end with the right conclusion within this number of users: with "no difference"
 * if there is no effect, else by finding it.
 */
export function endedWith(
  metric: SimulatedMetric,
  share: number,
  users: number,
  experiments: number,
  effect = 0,
): number {
  const ended = new Set<number>();
  const usersPerLook = Math.round(users / 14);
  const simulation = { draw: metric.draw, share, usersPerLook, looks: 14, experiments, effect, seed: 4 };
  const right = effect === 0 ? 'no_difference' : effect > 0 ? 'better' : 'worse';
  simulate(simulation, (experiment, _, stable, arm) => {
    if (compared(metric, stable, arm).conclusion.kind !== right) return false;
    ended.add(experiment);
    return true;
  });
  return ended.size / experiments;
}

/** Returns how many forecasts were given, and how many of their ranges contain the true number. */
export function forecasts(
  metric: SimulatedMetric,
  share: number,
  experiments: number,
): { given: number; right: number; withoutData: number } {
  const truth = trueNeed(metric, share);
  const random = randomFrom(7);
  const counted = { given: 0, right: 0, withoutData: 0 };
  for (const usersPerDay of [USERS, ARM_USERS / share]) {
    for (let experiment = 0; experiment < experiments; experiment++) {
      let [stable, arm] = [NO_USERS, NO_USERS];
      for (let day = 1; day <= 3; day++) {
        arm = addSamples(arm, metric.draw(random, usersPerDay * share));
        stable = addSamples(stable, metric.draw(random, usersPerDay * (1 - share)));
        const { usersNeeded } = compared(metric, stable, arm).power;
        if (usersNeeded === null) {
          counted.withoutData++;
          continue;
        }
        const { lower, upper } = uncertain(usersNeeded);
        counted.given++;
        if (lower <= truth && truth <= upper) counted.right++;
      }
    }
  }
  return counted;
}
