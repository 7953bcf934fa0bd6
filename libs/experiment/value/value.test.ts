import { describe, expect, it } from 'vitest';
import { createRandom } from '../distributions/random.ts';
import { areaUnderCurve, calibrationBins, calibrationError, logLoss, type ScoredReads } from './quality.ts';
import { addRead, estimate, meanOf, newUserSums } from './user-bootstrap.ts';

/** Reads of 12 users with many equal scores. */
function drawReads(seed: number, size = 60): ScoredReads {
  const random = createRandom(seed);
  const draw = (below: number) => Array.from({ length: size }, () => Math.floor(random() * below));
  const scores = Float64Array.from(draw(8), (n) => n / 8);
  return { users: draw(12), scores, outcomes: draw(2) };
}

describe('the area under the ROC curve', () => {
  it('is the share of pairs in the right order, with ties as a half and reads weighted by their user', () => {
    for (const seed of [1, 2, 3]) {
      const { users, scores, outcomes } = drawReads(seed);
      const weights = Array.from({ length: 12 }, (_, user) => (user * seed) % 4);
      let [right, pairs] = [0, 0];
      scores.forEach((yes, i) => {
        scores.forEach((no, j) => {
          if (outcomes[i] !== 1 || outcomes[j] !== 0) return;
          const weight = (weights[users[i] ?? 0] ?? 0) * (weights[users[j] ?? 0] ?? 0);
          pairs += weight;
          right += weight * (yes > no ? 1 : yes === no ? 0.5 : 0);
        });
      });
      expect(areaUnderCurve({ users, scores, outcomes })(weights)).toBeCloseTo(right / pairs, 12);
    }
  });

  it('has no value if all outcomes are equal', () => {
    expect(areaUnderCurve({ users: [0], scores: Float64Array.of(0.5), outcomes: [1] })([1])).toBeNaN();
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
  it('draws users with all of their reads, so a user with many reads makes the interval wide', () => {
    const [one, many] = [newUserSums(100), newUserSums(100)];
    for (let user = 0; user < 100; user++) addRead(one, user, user % 2);
    for (let read = 0; read < 1_000; read++) addRead(many, read < 900 ? 1 : read % 100, read < 900 ? 1 : 0);
    const [even, skewed] = estimate([one, many].map(meanOf), { users: 100, seed: 1, resamples: 1_000 });
    expect(even?.value).toBe(0.5);
    expect(even?.low).toBeCloseTo(0.4, 1);
    expect(even?.high).toBeCloseTo(0.6, 1);
    expect(skewed).toMatchObject({ value: 0.9, low: 0 });
  });

  it('uses the same draws for all statistics, and gives the same result for the same seed', () => {
    const sums = [newUserSums(50), newUserSums(50)] as const;
    const random = createRandom(3);
    for (let read = 0; read < 500; read++) {
      const [user, value] = [read % 50, random()];
      addRead(sums[0], user, value);
      addRead(sums[1], user, value + 0.01);
    }
    const [first, second] = [meanOf(sums[0]), meanOf(sums[1])] as const;
    const difference = (weights: ArrayLike<number>) => second(weights) - first(weights);
    const options = { users: 50, seed: 1, resamples: 200 };
    const [change] = estimate([difference], options);
    expect(change?.low).toBeCloseTo(0.01, 9);
    expect(change?.high).toBeCloseTo(0.01, 9);
    expect(estimate([first], options)).toEqual(estimate([first], options));
    expect(estimate([first], options)).not.toEqual(estimate([first], { ...options, seed: 2 }));
  });

  it('covers the mean of the population about as often as its level', () => {
    const random = createRandom(11);
    let covered = 0;
    for (let experiment = 0; experiment < 200; experiment++) {
      const sums = newUserSums(80);
      for (let user = 0; user < 80; user++) {
        const own = random();
        for (let read = 0; read < 1 + Math.floor(random() * 5); read++) addRead(sums, user, own + random());
      }
      const [mean] = estimate([meanOf(sums)], { users: 80, seed: experiment + 1, resamples: 200 });
      if (mean && mean.low <= 1 && mean.high >= 1) covered++;
    }
    expect(covered).toBeGreaterThan(178);
    expect(covered).toBeLessThan(200);
  });
});
