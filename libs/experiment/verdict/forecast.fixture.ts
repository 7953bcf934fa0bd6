/** Simulates forecasts of needed users, which are compared with the number that the true distribution needs. */
import { addSamples, randomFrom } from '../sequential/draws.fixture.ts';
import { type ArmSample, meanOf } from '../sequential/effect.ts';
import { hasEnough, neededGrowth, uncertain } from './power.ts';
import { NOBODY, type SimulatedMetric } from './simulated-experiments.fixture.ts';

const PLAN = { alpha: 0.05, power: 0.8, looks: 'sequential' } as const;
const EFFECT = 0.1;

function neededUsers(stable: ArmSample, arm: ArmSample): number | null {
  const growth = neededGrowth(stable, arm, EFFECT * meanOf(stable), PLAN);
  return growth === null ? null : growth * (stable.users + arm.users);
}

const scaled = ({ users, sum, sumOfSquares }: ArmSample, to: number): ArmSample => ({
  ...{ users: to, sum: (sum * to) / users, sumOfSquares: (sumOfSquares * to) / users },
});

/** Returns how many forecasts were given, and how many of their ranges contain the true number. */
export function forecasts(
  { draw }: SimulatedMetric,
  share: number,
  experiments: number,
): { given: number; right: number; withoutData: number } {
  let population = NOBODY;
  const drawn = randomFrom(99);
  for (let part = 0; part < 10; part++) population = addSamples(population, draw(drawn, 1_000_000));
  const truth = neededUsers(scaled(population, 1e6 * (1 - share)), scaled(population, 1e6 * share)) ?? Number.NaN;
  const random = randomFrom(7);
  const counted = { given: 0, right: 0, withoutData: 0 };
  for (const usersPerDay of [1_000, 20_000]) {
    for (let experiment = 0; experiment < experiments; experiment++) {
      let [stable, arm] = [NOBODY, NOBODY];
      for (let day = 1; day <= 3; day++) {
        arm = addSamples(arm, draw(random, usersPerDay * share));
        stable = addSamples(stable, draw(random, usersPerDay * (1 - share)));
        if (!hasEnough(stable, arm)) {
          counted.withoutData++;
          continue;
        }
        const { lower, upper } = uncertain(neededUsers(stable, arm) ?? Number.POSITIVE_INFINITY);
        counted.given++;
        if (lower <= truth && truth <= upper) counted.right++;
      }
    }
  }
  return counted;
}
