/**
 * Tests the promise of docs/experiments.md: a forecast's range contains the true number in at least 90 %, except for
 * sums with heavy tails and no cap.
 */
import { describe, expect, it } from 'vitest';
import { endedWith, forecasts, medianForecast, trueNeed } from './forecast.fixture.ts';
import { CAPPED_METRICS, isUnbounded, SIMULATED_METRICS } from './simulated-experiments.fixture.ts';

const bounded = [...SIMULATED_METRICS.filter((metric) => !isUnbounded(metric)), ...CAPPED_METRICS];

describe.each(bounded)('the range of a forecast of $name', (metric) => {
  it.each([0.5, 0.1, 0.01])('contains the true number of users in at least 90 of 100, in an arm of %d', (share) => {
    const { given, right } = forecasts(metric, share, 60);
    console.info(`${metric.name}, ${share}: ${given} given, ${right} right`);
    expect(given).toBeGreaterThanOrEqual(20);
    expect(right / given).toBeGreaterThanOrEqual(0.9);
  });

  it('is around the number with which 80 of 100 experiments with equal arms end', () => {
    const users = trueNeed(metric, 0.5);
    const [few = 1, right = 0, many = 0] = [1 / 3, 1, 3].map((times) => endedWith(metric, 0.5, times * users, 100));
    console.info(`${metric.name}: ${users} users, of which a third, all and three times end ${few}, ${right}, ${many}`);
    expect(few).toBeLessThan(0.8);
    // Two standard deviations of a share of 100 draws are 0.08.
    expect(right).toBeGreaterThan(0.8 - 0.08);
    expect(many).toBeGreaterThan(0.8);
  });
});

describe.each(SIMULATED_METRICS.filter(isUnbounded))('a forecast of $name, without a cap,', (metric) => {
  it.each([0.5, 0.1])('is too small, by a factor of at most 6 in an arm of %d', (share) => {
    const users = medianForecast(metric, share);
    const [told = 1, many = 0] = [1, 6].map((times) => endedWith(metric, share, times * users, 100));
    console.info(`${metric.name}, ${share}: ${users} users, of which all and six times end ${told}, ${many}`);
    expect(told).toBeLessThan(0.8);
    expect(many).toBeGreaterThanOrEqual(0.8);
  });
});
