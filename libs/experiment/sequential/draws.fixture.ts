/** Draws of a day's counts and sums for simulated experiments, from a seeded generator: the same on every run. */

import type { ShareCount } from '../distributions/exact-shares.ts';
import type { ArmSample } from './effect.ts';

export type Random = () => number;

/** Uniform in (0, 1): mulberry32 (Tommy Ettinger, public domain). */
export function randomFrom(seed: number): Random {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return (((t ^ (t >>> 14)) >>> 0) + 0.5) / 2 ** 32;
  };
}

/** Standard normal: Box and Muller, 1958. */
export function drawNormal(random: Random): number {
  return Math.sqrt(-2 * Math.log(random())) * Math.cos(2 * Math.PI * random());
}

/** Exact where few are expected, by the waiting times between events; the normal distribution's nearest count where many. */
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
  // Chi-squared of users − 1 degrees of freedom by Wilson and Hilferty's cube root.
  const freedom = users - 1;
  const root = 1 - 2 / (9 * freedom) + Math.sqrt(2 / (9 * freedom)) * drawNormal(random);
  return { users, sum, sumOfSquares: (sum * sum) / users + deviation * deviation * freedom * root ** 3 };
}

export function addSamples(one: ArmSample, other: ArmSample): ArmSample {
  return {
    users: one.users + other.users,
    sum: one.sum + other.sum,
    sumOfSquares: one.sumOfSquares + other.sumOfSquares,
  };
}

export function addShares(one: ShareCount, other: ShareCount): ShareCount {
  return { users: one.users + other.users, events: one.events + other.events };
}

/** A day's users over classes with these probabilities, one binomial after another. */
export function drawMultinomial(random: Random, n: number, shares: readonly number[]): number[] {
  let [left, rest] = [n, 1];
  return shares.map((share) => {
    const count = drawBinomial(random, left, Math.min(1, share / rest));
    left -= count;
    rest = Math.max(Number.EPSILON, rest - share);
    return count;
  });
}

/** The count above which a rate of at most `p` is out of the question: 4 standard deviations above its mean in n trials. */
export function mostOf(n: number, p: number): number {
  return n * p + 4 * Math.sqrt(n * p * (1 - p));
}
