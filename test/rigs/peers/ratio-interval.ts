/** Computes the confidence interval of a median by order statistics, without an assumption about the distribution. */
import { median } from '../bench/section.ts';

export interface Interval {
  readonly median: number;
  readonly low: number;
  readonly high: number;
  /** The probability that the interval covers the median. It is below 0.95 if there are too few values. */
  readonly confidence: number;
}

const WANTED = 0.95;

/**
 * Returns the narrowest interval of two order statistics with 95 % confidence, or the widest with fewer than six
 * values.
 */
export function medianInterval(values: readonly number[]): Interval {
  const sorted = [...values].sort((a, b) => a - b);
  let [rank, confidence] = [1, coverage(sorted.length, 1)];
  for (let next = 2; next * 2 <= sorted.length && coverage(sorted.length, next) >= WANTED; next++)
    [rank, confidence] = [next, coverage(sorted.length, next)];
  const [low = Number.NaN, high = Number.NaN] = [sorted[rank - 1], sorted[sorted.length - rank]];
  return { median: median(sorted), low, high, confidence };
}

/**
 * Returns the probability that the median lies between the value of this rank and the one as far from the other end:
 * 1 − 2 P(B(n, ½) < rank).
 */
function coverage(count: number, rank: number): number {
  let [term, below] = [0.5 ** count, 0];
  for (let k = 0; k < rank; k++) {
    below += term;
    term *= (count - k) / (k + 1);
  }
  return 1 - 2 * below;
}
