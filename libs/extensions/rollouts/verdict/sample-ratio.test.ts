/**
 * Reference figures: SciPy 1.17.1 (`stats.dirichlet_multinomial.logpmf` less `stats.multinomial.logpmf`).
 */

import { drawMultinomial, mostOf, randomFrom } from '@tandem/experiment/distributions/draws.fixture';
import { describe, expect, it, test } from 'vitest';
import { alwaysValidP } from '../sequential/confidence-sequence.ts';
import { logEvidenceOfMismatch, SAMPLE_RATIO_ALPHA } from './sample-checks.ts';

const armsOf = (users: readonly number[], weights: readonly number[]) =>
  users.map((count, i) => ({ users: count, weight: weights[i] ?? 0 }));

test.each([
  [[5_000, 5_200], [50, 50], -0.9499290911168516],
  [[9_900, 130], [99, 1], 0.8663968648903015],
  [[3_300, 3_400, 3_700], [1, 1, 1], 6.946803335164757],
  [[5_000, 5_600], [50, 50], 13.93838047802251],
  // A large mismatch among a few dozen users.
  [[46, 0], [50, 50], 27.34147552441308],
])('the sequential evidence of %j assigned as %j', (users, weights, logEvidence) => {
  expect(logEvidenceOfMismatch(armsOf(users, weights))).toBeCloseTo(logEvidence, 8);
});

/** Returns the day on which the sequential test first rejects at alpha; null if it never does. */
function firstMismatch(seed: number, shares: readonly number[], assigned: readonly number[], days = 28): number | null {
  const random = randomFrom(seed);
  const users = shares.map(() => 0);
  for (let day = 1; day <= days; day++) {
    for (const [i, count] of drawMultinomial(random, 1_000, shares).entries()) users[i] = (users[i] ?? 0) + count;
    if (alwaysValidP(logEvidenceOfMismatch(armsOf(users, assigned))) < ALPHA) return day;
  }
  return null;
}
const ALPHA = 0.05;

describe('sample-ratio mismatch', () => {
  it('of no users, or of one arm, is no mismatch', () => {
    expect(logEvidenceOfMismatch(armsOf([0, 0], [50, 50]))).toBeCloseTo(0, 12);
    expect(logEvidenceOfMismatch(armsOf([0, 0, 3], [99, 1, 0]))).toBeCloseTo(0, 12);
  });

  it('is falsely found by daily looks in at most 5 % of 2,000 experiments at alpha 5 %', () => {
    for (const shares of [
      [0.5, 0.5],
      [0.99, 0.01],
    ]) {
      let found = 0;
      for (let seed = 0; seed < 2_000; seed++) if (firstMismatch(seed, shares, shares) !== null) found++;
      expect(found).toBeLessThan(mostOf(2_000, ALPHA));
    }
  });

  it('that loses a tenth of an arm is found at p < 0.001', () => {
    const lossy = 0.45 / 0.95;
    let caught = 0;
    for (let seed = 0; seed < 100; seed++) {
      const random = randomFrom(seed);
      const users = [0, 0];
      for (let day = 0; day < 28; day++)
        for (const [i, count] of drawMultinomial(random, 1_000, [1 - lossy, lossy]).entries())
          users[i] = (users[i] ?? 0) + count;
      if (alwaysValidP(logEvidenceOfMismatch(armsOf(users, [1, 1]))) < SAMPLE_RATIO_ALPHA) caught++;
    }
    expect(caught).toBeGreaterThanOrEqual(95);
  });
});
