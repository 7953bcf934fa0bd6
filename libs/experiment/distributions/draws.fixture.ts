/** Draws a day's counts and sums for simulated experiments, from a seeded generator, so that every run is the same. */

import type { ArmSample } from '@tandem/rollouts/sequential/effect';
import type { ShareCount } from './exact-shares.ts';
import { createRandom } from './random.ts';

export type Random = () => number;

/** Returns a generator of uniform numbers in (0, 1), which have a logarithm. */
export function randomFrom(seed: number): Random {
  const random = createRandom(seed);
  return () => random() + 2 ** -33;
}

/** Draws from the standard normal distribution (Box and Muller, 1958). */
export function drawNormal(random: Random): number {
  return Math.sqrt(-2 * Math.log(random())) * Math.cos(2 * Math.PI * random());
}

/**
 * Draws a binomial count. A small expected count is drawn exactly, by the waiting times between events; a large one is
 * rounded from a normal distribution.
 */
export function drawBinomial(random: Random, n: number, p: number): number {
  if (p > 0.5) return n - drawBinomial(random, n, 1 - p);
  if (p <= 0) return 0;
  if (n * p > 50) {
    const count = Math.round(n * p + Math.sqrt(n * p * (1 - p)) * drawNormal(random));
    return Math.min(n, Math.max(0, count));
  }
  let count = 0;
  for (let at = 0; ; count++) {
    at += Math.floor(Math.log(random()) / Math.log1p(-p)) + 1;
    if (at > n) return count;
  }
}

/** Draws a sample of users with normal values: its sum and sum of squares have the distributions of these draws. */
export function drawSample(random: Random, users: number, mean: number, deviation: number): ArmSample {
  const sum = users * mean + Math.sqrt(users) * deviation * drawNormal(random);
  // Chi-squared with users − 1 degrees of freedom, by the cube root of Wilson and Hilferty.
  const freedom = users - 1;
  const root = 1 - 2 / (9 * freedom) + Math.sqrt(2 / (9 * freedom)) * drawNormal(random);
  return { users, sum, sumOfSquares: (sum * sum) / users + deviation * deviation * freedom * root ** 3 };
}

export function addSamples(one: ArmSample, other: ArmSample): ArmSample {
  const [largest, less] = [one.largest ?? 0, other.largest ?? 0];
  return {
    users: one.users + other.users,
    sum: one.sum + other.sum,
    sumOfSquares: one.sumOfSquares + other.sumOfSquares,
    largest: Math.abs(less) > Math.abs(largest) ? less : largest,
  };
}

export function addShares(one: ShareCount, other: ShareCount): ShareCount {
  return { users: one.users + other.users, events: one.events + other.events };
}

/** Draws how a day's users are distributed over classes with these probabilities, by one binomial after another. */
export function drawMultinomial(random: Random, n: number, shares: readonly number[]): number[] {
  let [left, rest] = [n, 1];
  return shares.map((share) => {
    const count = drawBinomial(random, left, Math.min(1, share / rest));
    left -= count;
    rest = Math.max(Number.EPSILON, rest - share);
    return count;
  });
}

/**
 * Returns the count that a rate of at most `p` practically never exceeds: 4 standard deviations above its mean in n
 * trials.
 */
export function mostOf(n: number, p: number): number {
  return n * p + 4 * Math.sqrt(n * p * (1 - p));
}
