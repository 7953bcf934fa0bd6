/**
 * Asymptotic confidence sequences: intervals that hold at all looks together, so that one may look whenever one likes and
 * stop when one likes (Waudby-Smith, Arbour, Sinha, Kennedy, Ramdas, "Time-uniform central limit theory and asymptotic
 * confidence sequences", Annals of Statistics 2024, arXiv 2103.06476: the two-sided form, its p-value and its tuning). The
 * same with a half-normal mixture is one-sided. GrowthBook's sequential testing is the two-sided one.
 *
 * Both speak of two numbers: z, the estimate's distance from what is tested in its standard errors, and `information`, the
 * users times ρ². An e-value has an expectation of at most 1 at any stopping time where the tested is true, whence it
 * exceeds 1/α ever with a probability of at most α, and its reciprocal is a p-value.
 */
import { bisect } from './bisect.ts';
import type { Effect } from './effect.ts';
import { normalCdf } from './normal.ts';

/** At so many users the intervals are tightest: what GrowthBook takes. */
const TUNED_FOR_USERS = 5_000;

/**
 * ρ² × users, ρ tuned for intervals of 1 − alpha at TUNED_FOR_USERS. It depends on users and alpha alone, not on what was
 * measured, as it must.
 */
export function informationOf(users: number, alpha: number): number {
  const twice = -2 * Math.log(alpha);
  return (users * (twice + Math.log(twice + 1))) / TUNED_FOR_USERS;
}

/** ln of the e-value against "there is no difference". */
export function logEvidenceOfDifference(z: number, information: number): number {
  return -0.5 * Math.log1p(information) + (z * z * information) / (2 * (1 + information));
}

/** ln of the e-value against "it is not above", whatever it is below; z > 0 speaks against it. */
export function logEvidenceAbove(z: number, information: number): number {
  const above = normalCdf(z * Math.sqrt(information / (1 + information)));
  return Math.LN2 + logEvidenceOfDifference(z, information) + Math.log(above);
}

/** The |z| at which a two-sided test of level alpha rejects: half the interval's width in standard errors. */
export function criticalZ(information: number, alpha: number): number {
  return Math.sqrt(((2 * (1 + information)) / information) * (0.5 * Math.log1p(information) - Math.log(alpha)));
}

/** The z at which a one-sided test of level alpha rejects. */
export function criticalZAbove(information: number, alpha: number): number {
  const most = criticalZ(information, alpha);
  return bisect((z) => logEvidenceAbove(z, information) < -Math.log(alpha), 0, most);
}

export interface Interval {
  readonly lower: number;
  readonly upper: number;
}

/** In which the effect is, at all looks together with the probability 1 − alpha; of some users, as information is above 0. */
export function confidenceInterval({ estimate, variance }: Effect, information: number, alpha: number): Interval {
  const halfWidth = Math.sqrt(variance) * criticalZ(information, alpha);
  return { lower: estimate - halfWidth, upper: estimate + halfWidth };
}

/** The bounds of two one-sided tests, each with its own alpha. */
export function oneSidedBounds(
  { estimate, variance }: Effect,
  information: number,
  alphas: { readonly lower: number; readonly upper: number },
): Interval {
  const error = Math.sqrt(variance);
  return {
    lower: estimate - error * criticalZAbove(information, alphas.lower),
    upper: estimate + error * criticalZAbove(information, alphas.upper),
  };
}
