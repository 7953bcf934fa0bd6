/** Student's t distribution (DLMF 8.17; Abramowitz and Stegun 26.7.1). */
import { bisect } from './bisect.ts';
import { incompleteBeta } from './incomplete-beta.ts';

/** P(|T| ≥ |t|) with `freedom` > 0 degrees of freedom, which need not be whole. */
export function studentTwoSided(t: number, freedom: number): number {
  return incompleteBeta(freedom / (freedom + t * t), freedom / 2, 0.5);
}

/** The t ≥ 0 with P(|T| ≥ t) = alpha, for 0 < alpha < 1. */
export function studentCritical(alpha: number, freedom: number): number {
  let high = 2;
  while (studentTwoSided(high, freedom) > alpha) high *= 2;
  return bisect((t) => studentTwoSided(t, freedom) > alpha, 0, high);
}
