/**
 * The population stability index (PSI) between two histograms, Σ (p − q) ln(p / q): 0 where they are alike; by custom 0.1
 * is a shift worth a look, and 0.25 one to act on. (B. Yurdakul and J. Naranjo, "Statistical properties of the population
 * stability index", Journal of Risk Model Validation 14, 2020: its distribution where there is no shift.)
 *
 * Samples differ even where populations do not, so that the index of two samples is too large by (classes − 1)(1/n + 1/m)
 * on average; that is taken off. The variance is the delta method's with that of the second-order term.
 */
import type { Effect } from '../sequential/effect.ts';

/** What every class is taken to have had before: none is empty, whose logarithm would be infinite. */
const SMOOTHING = 0.5;

/** One arm's histogram; `users` says how much it counts for, whatever its sum. */
export interface Histogram {
  readonly counts: readonly number[];
  readonly users: number;
}

/** The index and its variance; null where either has nothing. Classes that both have empty are left out. */
export function stabilityIndex(stable: Histogram, candidate: Histogram): Effect | null {
  if (sumOf(stable.counts) === 0 || sumOf(candidate.counts) === 0) return null;
  const kept = stable.counts.flatMap((count, i) => (count > 0 || (candidate.counts[i] ?? 0) > 0 ? [i] : []));
  const q = sharesOf(stable, kept);
  const p = sharesOf(candidate, kept);
  const index = p.reduce((sum, share, i) => sum + (share - at(q, i)) * Math.log(share / at(q, i)), 0);
  const noise = 1 / candidate.users + 1 / stable.users;
  const freedom = kept.length - 1;
  return {
    estimate: index - freedom * noise,
    variance:
      slopeVariance(p, q) / candidate.users +
      slopeVariance(q, p) / stable.users +
      2 * Math.max(1, freedom) * noise * noise,
  };
}

/** Of one observation of `own`: the variance of the index's derivative by its shares. */
function slopeVariance(own: readonly number[], other: readonly number[]): number {
  const slopes = own.map((share, i) => Math.log(share / at(other, i)) + 1 - at(other, i) / share);
  const mean = slopes.reduce((sum, slope, i) => sum + slope * at(own, i), 0);
  return slopes.reduce((sum, slope, i) => sum + (slope - mean) ** 2 * at(own, i), 0);
}

function sharesOf({ counts, users }: Histogram, kept: readonly number[]): number[] {
  const scale = users / sumOf(counts);
  const total = users + SMOOTHING * kept.length;
  return kept.map((i) => (at(counts, i) * scale + SMOOTHING) / total);
}

function sumOf(counts: readonly number[]): number {
  return counts.reduce((sum, count) => sum + count, 0);
}

function at(values: readonly number[], i: number): number {
  return values[i] ?? 0;
}
