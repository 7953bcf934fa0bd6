/**
 * Tests the promise of docs/experiments.md: from 10,000 users, the users that a step needs are estimated within a factor
 * of 3, except for sums with heavy tails and no cap.
 */
import { randomFrom } from '@tandem/experiment/distributions/draws.fixture';
import { describe, expect, it } from 'vitest';
import {
  CAPPED_METRICS,
  isUnbounded,
  SIMULATED_METRICS,
  type SimulatedMetric,
} from '../verdict/simulated-experiments.fixture.ts';
import { neededIn, noteOf, passed, TENTH } from './outcome-needs.fixture.ts';

const SAMPLES = 41;
const POWER = 0.8;
/** Two standard deviations of a share of 100 draws. */
const SPREAD = 0.08;

/** Returns the estimates from samples of 10,000 users, in rising order. */
function estimates(percent: number, metric: SimulatedMetric): readonly number[] {
  const random = randomFrom(3);
  const all = Array.from({ length: SAMPLES }, () => neededIn(noteOf(percent, metric, metric.draw(random, 10_000))));
  return all.filter((users) => !Number.isNaN(users)).sort((a, b) => a - b);
}

const bounded = [TENTH, ...SIMULATED_METRICS.filter((metric) => !isUnbounded(metric)), ...CAPPED_METRICS];

describe.each(bounded)('the estimate for $name', (metric) => {
  it.each([1, 10, 50])('is right within a factor of 3 in a step of %d percent', (percent) => {
    const users = estimates(percent, metric);
    const [few = Number.NaN, many = Number.NaN] = [0.05, 0.95].map(
      (share) => users[Math.round(share * (users.length - 1))],
    );
    const [below, above] = [passed(percent, many / 3, 100, metric), passed(percent, 3 * few, 100, metric)];
    console.info(
      `${metric.name}, ${percent}: ${users.length} estimates of ${few} to ${many}; ${below} to ${above} pass`,
    );
    expect(users.length).toBeGreaterThan(SAMPLES / 2);
    expect(below).toBeLessThanOrEqual(POWER);
    expect(above).toBeGreaterThanOrEqual(POWER - SPREAD);
  });
});

describe.each(SIMULATED_METRICS.filter(isUnbounded))('the estimate for $name, without a cap,', (metric) => {
  it.each([10, 50])('is too small, by a factor of at most 6 in a step of %d percent, or there is none', (percent) => {
    const users = estimates(percent, metric);
    const median = users[users.length >> 1] ?? Number.NaN;
    const above = users.length < SAMPLES / 4 ? null : passed(percent, 6 * median, 100, metric);
    console.info(`${metric.name}, ${percent}: ${users.length} estimates, median ${median}; ${above} pass`);
    if (metric.name === 'lognormal, 1 % buy') expect(above).toBeNull();
    else expect(above).toBeGreaterThanOrEqual(POWER - SPREAD);
  });
});

it('200,000 users decide a step of 1 percent in 3 of 100 canaries, as the page says', () => {
  expect(Math.round(100 * passed(1, 200_000, 2_000))).toBe(3);
});
