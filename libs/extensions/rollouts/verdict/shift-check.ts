/** Checks the shift of the answers: the population stability index of the arms' scores. */

import { logEvidenceAbove, oneSidedBounds } from '../sequential/confidence-sequence.ts';
import { balancedUsers, type Effect } from '../sequential/effect.ts';
import { type Alphas, evidenceOf, figure, stateOf } from './evidence.ts';
import type { ArmFigures, Check } from './rollout-figures.ts';
import { conclusionOf } from './share-check.ts';

/** The conventional threshold for a large shift. */
const CUSTOMARY_LIMIT = 0.25;

/**
 * Returns the check of the shift. Without a limit in the plan, it is only reported against the conventional limit: a
 * version with another scale of scores is shifted but need not be worse.
 */
export function checkShift(planned: number | null, stable: ArmFigures, arm: ArmFigures, alphas: Alphas): Check {
  const limit = planned ?? CUSTOMARY_LIMIT;
  const [ours, theirs] = [histogramOf(stable), histogramOf(arm)];
  const check = { name: 'psi', arm: arm.name, guardrail: planned !== null } as const;
  const told = planned === null ? '; reported only' : '';
  const users = { [stable.name]: ours.users, [arm.name]: theirs.users };
  const index = stabilityIndex(ours, theirs);
  if (index === null) {
    // For a model without a score from 0 to 1, nothing is counted in either arm.
    const state = sumOf(stable.scores) + sumOf(arm.scores) === 0 ? 'skipped' : 'inconclusive';
    return { ...check, state, figures: { users, margin: limit }, why: 'shift of the scores: no scores were counted' };
  }
  const size = { users: balancedUsers(ours.users, theirs.users), alpha: alphas.notWorse };
  const z = (index.estimate - limit) / Math.sqrt(index.variance);
  const worse = evidenceOf(logEvidenceAbove(z, size), alphas.worse);
  const notWorse = evidenceOf(logEvidenceAbove(-z, size), alphas.notWorse);
  const state = stateOf(worse, notWorse);
  const bounds = oneSidedBounds(index, size, { lower: alphas.worse, upper: alphas.notWorse });
  const interval = { lower: Math.max(0, bounds.lower), upper: Math.max(0, bounds.upper) };
  return {
    ...check,
    state,
    figures: { users, estimate: Math.max(0, index.estimate), ...interval, margin: limit, worse, notWorse },
    why: `shift of the scores: an index of ${figure(Math.max(0, index.estimate))} (${figure(interval.lower)} to ${figure(interval.upper)}) ${conclusionOf(state, figure(limit))} (e-values ${figure(worse.eValue)} and ${figure(notWorse.eValue)})${told}`,
  };
}

function histogramOf(arm: ArmFigures) {
  return { counts: arm.scores, users: Math.min(arm.users, sumOf(arm.scores)) };
}

// The population stability index (PSI) between two histograms, Σ (p − q) ln(p / q): 0 if they are equal. By convention,
// 0.1 is a small shift and 0.25 a large shift. (B. Yurdakul and J. Naranjo, "Statistical properties of the population
// stability index", Journal of Risk Model Validation 14, 2020: its distribution without a shift.)
//
// Samples differ even if the populations do not, so the index of two samples is on average too large by (classes −
// 1)(1/n + 1/m). This bias is subtracted. The variance is that of the delta method plus that of the second-order term.

/** The number that is added to the count of every class, since an empty class would have an infinite logarithm. */
const SMOOTHING = 0.5;

/** The histogram of one arm. `users` is its weight, independent of its sum. */
type Histogram = ReturnType<typeof histogramOf>;

/** Returns the index and its variance; null if a histogram is empty. Classes that are empty in both are left out. */
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

/** Returns the variance of the index's derivative by the shares, for one observation of `own`. */
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
