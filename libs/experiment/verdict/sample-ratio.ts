/**
 * Sample-ratio mismatch: whether the users that were seen split over the arms as they were assigned. Where they do not, the
 * arms are not samples of the same users (an arm loses users, or logs them twice), and nothing that compares them is worth
 * believing.
 *
 * The sequential test is the multinomial's, with a Dirichlet mixture around the assigned shares: M. Lindon and A. Malek,
 * "Anytime-Valid Inference for Multinomial Count Data", NeurIPS 2022. Exact, at all looks together.
 */
import { logOfMean } from '../sequential/e-value.ts';
import { upperGamma } from '../distributions/incomplete-gamma.ts';
import { logGamma } from '../distributions/log-gamma.ts';

/** A mismatch is told below this: the convention, since it is a fault and not a finding. */
export const SAMPLE_RATIO_ALPHA = 0.001;

/**
 * How close to the assigned shares the mixtures look: as if each had seen so many users before. The first is the authors'
 * choice, for many users and a small mismatch; the second finds a gross one among a few dozen. The mean of two e-values is one.
 */
const NEAR = 100;
const ANYWHERE = 2;

/** Of an arm: the users seen, and its share of the assignment, in whatever unit the arms have in common. */
export interface ArmShare {
  readonly users: number;
  readonly weight: number;
}

/** ln of the e-value against "users are split as assigned". Arms with no weight are left out. 0 of nobody. */
export function logEvidenceOfMismatch(arms: readonly ArmShare[]): number {
  const { counts, shares } = assigned(arms);
  return logOfMean(logEvidenceOf(counts, shares, NEAR), logEvidenceOf(counts, shares, ANYWHERE));
}

function logEvidenceOf(counts: readonly number[], shares: readonly number[], concentration: number): number {
  const total = counts.reduce((sum, count) => sum + count, 0);
  const parts = shares.map((share, i) => {
    const prior = concentration * share;
    const count = counts[i] ?? 0;
    return logGamma(prior + count) - logGamma(prior) - count * Math.log(share);
  });
  return logGamma(concentration) - logGamma(concentration + total) + parts.reduce((sum, part) => sum + part, 0);
}

/** Pearson's chi-squared test of the same: honest for one look at a time set beforehand. 1 of nobody. */
export function sampleRatioChiSquared(arms: readonly ArmShare[]): { chiSquared: number; pValue: number } {
  const { counts, shares } = assigned(arms);
  const total = counts.reduce((sum, count) => sum + count, 0);
  if (total === 0 || counts.length < 2) return { chiSquared: 0, pValue: 1 };
  const chiSquared = shares.reduce((sum, share, i) => {
    return sum + ((counts[i] ?? 0) - share * total) ** 2 / (share * total);
  }, 0);
  return { chiSquared, pValue: upperGamma((counts.length - 1) / 2, chiSquared / 2) };
}

function assigned(arms: readonly ArmShare[]) {
  const some = arms.filter((arm) => arm.weight > 0);
  const weights = some.reduce((sum, arm) => sum + arm.weight, 0);
  return { counts: some.map((arm) => arm.users), shares: some.map((arm) => arm.weight / weights) };
}
