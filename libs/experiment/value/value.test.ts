import { describe, expect, it } from 'vitest';
import { normalCdf } from '../distributions/normal.ts';
import { createRandom } from '../distributions/random.ts';
import { areaUnderCurve, calibrationBins, calibrationError, logLoss, type ScoredReads } from './quality.ts';
import { LOADS, normal, simulateCoverage } from './simulated-reads.fixture.ts';
import { addRead, equallyActiveUsers, estimate, meanOf, newUserSums } from './user-bootstrap.ts';

/** Reads of 12 users with many equal scores. */
function drawReads(seed: number, size = 60): ScoredReads {
  const random = createRandom(seed);
  const draw = (below: number) => Array.from({ length: size }, () => Math.floor(random() * below));
  const scores = Float64Array.from(draw(8), (n) => n / 8);
  return { users: draw(12), scores, outcomes: draw(2) };
}

/** Returns the area by its definition, over all pairs of reads. */
function areaOf({ users, scores, outcomes }: ScoredReads, weights: readonly number[]): number {
  let [right, pairs] = [0, 0];
  scores.forEach((yes, i) => {
    scores.forEach((no, j) => {
      if (outcomes[i] !== 1 || outcomes[j] !== 0) return;
      const weight = (weights[users[i] ?? 0] ?? 0) * (weights[users[j] ?? 0] ?? 0);
      pairs += weight;
      right += weight * (yes > no ? 1 : yes === no ? 0.5 : 0);
    });
  });
  return right / pairs;
}

describe('the area under the ROC curve', () => {
  it('is the share of pairs in the right order, with ties as a half and reads weighted by their user', () => {
    for (const seed of [1, 2, 3]) {
      const reads = drawReads(seed);
      const weights = Array.from({ length: 12 }, (_, user) => (user * seed) % 4);
      expect(areaUnderCurve(reads)(weights)[0]).toBeCloseTo(areaOf(reads, weights), 12);
    }
  });

  it('has the error of the jackknife: the areas without one user each', () => {
    for (const seed of [1, 2, 3]) {
      const reads = drawReads(seed);
      for (const drawn of [1, 4]) {
        const weights = Array.from({ length: 12 }, (_, user) => (drawn === 1 ? 1 : (user * seed) % drawn));
        const area = areaOf(reads, weights);
        const squares = weights.map((weight, user) => {
          if (weight === 0) return 0;
          // A user who is drawn several times counts as several users. One of them is left out.
          const without = areaOf(reads, weights.with(user, weight - 1));
          return weight * (without - area) ** 2;
        });
        const error = Math.sqrt(squares.reduce((sum, one) => sum + one));
        expect(Math.abs(areaUnderCurve(reads)(weights)[1] - error)).toBeLessThan(1e-12);
      }
    }
  });

  it('has no error if one user has all reads with the outcome: the area without this user has no value', () => {
    const reads = { users: [0, 0, 1, 2], scores: Float64Array.of(0.5, 0.4, 0.3, 0.6), outcomes: [1, 0, 0, 0] };
    expect(areaUnderCurve(reads)([1, 1, 1])).toEqual([expect.closeTo(2 / 3, 12), Number.NaN]);
  });

  it('has no value if all outcomes are equal', () => {
    expect(areaUnderCurve({ users: [0], scores: Float64Array.of(0.5), outcomes: [1] })([1])[0]).toBeNaN();
  });
});

describe('log-loss', () => {
  it('stays finite for a wrong prediction of 0 or 1', () => {
    expect(logLoss(0, true)).toBeCloseTo(16.118, 3);
    expect(logLoss(1, false)).toBeCloseTo(16.118, 3);
    expect(logLoss(0.25, true)).toBeCloseTo(Math.log(4), 12);
  });
});

describe('calibration', () => {
  it('compares predictions with outcomes in ten bins of equal size', () => {
    const scores = Float64Array.from({ length: 100 }, (_, i) => i / 100);
    const bins = calibrationBins({
      users: [],
      scores,
      outcomes: Array.from(scores, (score) => (score >= 0.5 ? 1 : 0)),
    });
    expect(bins).toHaveLength(10);
    expect(bins[0]).toEqual({ reads: 10, predicted: expect.closeTo(0.045, 9), observed: 0 });
    expect(bins[9]).toEqual({ reads: 10, predicted: expect.closeTo(0.945, 9), observed: 1 });
    expect(calibrationError(bins)).toBeCloseTo(0.25, 2);
  });
});

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

  it('covers the area under the ROC curve of users with unequal activity', () => {
    // Across users: score differences have the mean 1 and the variance 2 + 2 × 0.25.
    const truth = normalCdf(1 / Math.sqrt(2.5));
    let covered = 0;
    for (let experiment = 0; experiment < 200; experiment++) {
      const random = createRandom(experiment + 1);
      const counts = LOADS.logNormal1(random, 200).map((count) => Math.min(count, 20));
      const users = [...counts].flatMap((count, user) => Array<number>(count).fill(user));
      const own = [...counts].map(() => normal(random) / 2);
      const outcomes = users.map(() => Number(random() < 0.3));
      const scores = Float64Array.from(users, (user, i) => (own[user] ?? 0) + (outcomes[i] ?? 0) + normal(random));
      const area = areaUnderCurve({ users, scores, outcomes });
      const [figure] = estimate([area], { counts, seed: experiment + 1, resamples: 100 });
      if (figure && figure.low <= truth && truth <= figure.high) covered++;
    }
    expect(covered / 200).toBeGreaterThanOrEqual(0.93);
    expect(covered).toBeLessThan(200);
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
