/**
 * Percentile bootstrap over users. The reads of one user are not independent, so users are drawn with all of their
 * reads. A statistic is a function of how often each user was drawn. Statistics that are estimated together use the
 * same draws, so that a difference of two of them is paired.
 */
import { createRandom } from '../distributions/random.ts';

/** A figure with the bounds of its 95 % bootstrap interval. */
export interface Estimate {
  readonly value: number;
  readonly low: number;
  readonly high: number;
}

/** Computes a figure from how often each user was drawn; NaN if it has no value. */
export type Statistic = (weights: ArrayLike<number>) => number;

interface Resampling {
  readonly users: number;
  readonly seed: number;
  readonly resamples: number;
}

/** Returns an estimate for each statistic, in order; bounds are NaN if no draw gave a value. */
export function estimate(statistics: readonly Statistic[], { users, seed, resamples }: Resampling): Estimate[] {
  const random = createRandom(seed);
  const drawn = statistics.map(() => new Float64Array(resamples));
  const weights = new Uint32Array(users);
  for (let sample = 0; sample < resamples; sample++) {
    weights.fill(0);
    for (let i = 0; i < users; i++) {
      const user = Math.floor(random() * users);
      weights[user] = (weights[user] as number) + 1;
    }
    statistics.forEach((statistic, i) => {
      (drawn[i] as Float64Array)[sample] = statistic(weights);
    });
  }
  const once = new Uint8Array(users).fill(1);
  return statistics.map((statistic, i) => ({ value: statistic(once), ...bounds(drawn[i] as Float64Array) }));
}

function bounds(values: Float64Array): { low: number; high: number } {
  const sorted = values.filter((value) => !Number.isNaN(value)).sort();
  const at = (quantile: number) => sorted[Math.round(quantile * (sorted.length - 1))] ?? Number.NaN;
  return { low: at(0.025), high: at(0.975) };
}

/** The sums and counts of reads, by user. */
export interface UserSums {
  readonly sums: Float64Array;
  readonly counts: Float64Array;
}

export function newUserSums(users: number): UserSums {
  return { sums: new Float64Array(users), counts: new Float64Array(users) };
}

export function addRead({ sums, counts }: UserSums, user: number, value: number): void {
  sums[user] = (sums[user] as number) + value;
  counts[user] = (counts[user] as number) + 1;
}

/** Returns the statistic for the mean over reads. */
export function meanOf({ sums, counts }: UserSums): Statistic {
  return (weights) => {
    let [sum, reads] = [0, 0];
    for (let user = 0; user < sums.length; user++) {
      const weight = weights[user] as number;
      sum += weight * (sums[user] as number);
      reads += weight * (counts[user] as number);
    }
    return sum / reads;
  };
}
