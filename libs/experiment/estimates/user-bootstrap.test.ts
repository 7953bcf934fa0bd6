import { describe, expect, it } from 'vitest';
import { createRandom } from '../distributions/random.ts';
import { LOADS, normal, simulateCoverage } from './simulated-reads.fixture.ts';
import { addRead, equallyActiveUsers, estimate, meanOf, newUserSums } from './user-bootstrap.ts';

describe('the bootstrap', () => {
  it('draws users with all of their reads, and gives no interval if one user makes most reads', () => {
    const [one, many] = [newUserSums(100), newUserSums(100)];
    for (let user = 0; user < 100; user++) addRead(one, user, user % 2);
    for (let read = 0; read < 1_000; read++) addRead(many, read < 900 ? 1 : read % 100, read < 900 ? 1 : 0);
    const [even, skewed] = [one, many].map(
      (sums) => estimate([meanOf(sums)], { counts: sums.counts, seed: 1, resamples: 1_000 })[0],
    );
    expect([equallyActiveUsers(one.counts), equallyActiveUsers(many.counts)]).toEqual([100, expect.closeTo(1.23, 2)]);
    expect(even?.value).toBe(0.5);
    expect(even?.low).toBeCloseTo(0.4, 1);
    expect(even?.high).toBeCloseTo(0.6, 1);
    expect(skewed).toEqual({ value: 0.9, low: Number.NaN, high: Number.NaN });
  });

  it('pairs differences, and gives the same result for the same seed', () => {
    const [first, change] = [newUserSums(50), newUserSums(50)];
    const random = createRandom(3);
    for (let read = 0; read < 500; read++) {
      const [user, value] = [read % 50, random()];
      addRead(first, user, value);
      addRead(change, user, value + 0.01 - value);
    }
    const options = { counts: first.counts, seed: 1, resamples: 200 };
    const [paired] = estimate([meanOf(change)], options);
    expect(paired?.low).toBeCloseTo(0.01, 9);
    expect(paired?.high).toBeCloseTo(0.01, 9);
    const estimates = [1, 1, 2].map((seed) => estimate([meanOf(first)], { ...options, seed }));
    expect(estimates[0]).toEqual(estimates[1]);
    expect(estimates[0]).not.toEqual(estimates[2]);
  });

  it.each([
    { load: 'zipf', gains: 'normal' },
    { load: 'pareto', gains: 'skewed' },
    { load: 'logNormal2', gains: 'normal' },
  ] as const)('covers the truth at $load activity, which the percentile interval does not', ({ load, gains }) => {
    const { covered, percentile } = simulateCoverage({ load, gains, users: 200, experiments: 500 });
    expect(percentile).toBeLessThan(0.925);
    expect(covered).toBeGreaterThanOrEqual(0.93);
    expect(covered).toBeLessThan(0.99);
  });

  it('finds a difference of any of four means by chance in at most one of 20 experiments, if together', () => {
    const found = { alone: 0, together: 0 };
    for (let experiment = 0; experiment < 400; experiment++) {
      const random = createRandom(31 * experiment + 5);
      const counts = LOADS.logNormal1(random, 100);
      const common = counts.map(() => normal(random));
      const gains = [1, 2, 3, 4].map(() => counts.map((reads, user) => reads * ((common[user] ?? 0) + normal(random))));
      const means = gains.map((sums) => meanOf({ sums, counts }));
      for (const kind of ['alone', 'together'] as const) {
        const options = { counts, seed: experiment + 1, resamples: 200, together: kind === 'together' };
        if (estimate(means, options).some(({ low, high }) => low > 0 || high < 0)) found[kind]++;
      }
    }
    expect(found.alone / 400).toBeGreaterThan(0.075);
    expect(found.together / 400).toBeLessThanOrEqual(0.05);
    expect(found.together).toBeGreaterThan(0);
  });
});
