import { normalCdf } from '@tandem/experiment/distributions/normal';
import { createRandom } from '@tandem/experiment/distributions/random';
import { LOADS, normal } from '@tandem/experiment/estimates/simulated-reads.fixture';
import { estimate } from '@tandem/experiment/estimates/user-bootstrap';
import { describe, expect, it } from 'vitest';
import { areaUnderCurve, calibrationBins, calibrationError, type ScoredReads } from './quality.ts';

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

  it('is in the interval of the bootstrap, at unequal activity', () => {
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
