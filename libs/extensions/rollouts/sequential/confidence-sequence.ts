/**
 * Asymptotic confidence sequences: intervals that are valid at all looks together, so that an experiment may be looked
 * at and stopped at any time. The two-sided form, its p-value and its tuning are from Waudby-Smith, Arbour, Sinha,
 * Kennedy, Ramdas, "Time-uniform central limit theory and asymptotic confidence sequences", Annals of Statistics 2024,
 * arXiv 2103.06476. A half-normal mixture gives the one-sided form.
 *
 * One normal mixture is tight only near the number of users that it is tuned for. At a hundred times that number, it
 * needs 2.5 times the users of a single look. The e-value here is the weighted mean of three mixtures, and a mean of
 * e-values is an e-value. For normal values in two equal arms of 1,000 to 1,000,000 users, it needs at most 2.1 times
 * the users of a single look (power.test.ts). Losses in small arms need more (needed-users.long.test.ts).
 *
 * All functions take z, the distance of the estimate from the tested claim in standard errors, and the sample: its
 * number of users, and the alpha that it is tuned for. If the claim is true, an e-value has an expectation of at most 1
 * at any stopping time. The probability that it ever exceeds 1/α is therefore at most α, and its reciprocal is a
 * p-value.
 */
import { bisect } from '@tandem/experiment/distributions/bisect';
import { normalCdf } from '@tandem/experiment/distributions/normal';
import type { Effect, Interval } from './effect.ts';

/** The mixtures: the number of users at which each is tightest, and its weight. They were found by simulation. */
const MIXTURES = [
  { tunedFor: 1_500, weight: 0.38 },
  { tunedFor: 40_000, weight: 0.24 },
  { tunedFor: 1_000_000, weight: 0.38 },
] as const;

/** The parameters of an e-value besides z. They must not depend on measured values. */
export interface SequenceSize {
  /** The number of users of two equal arms with the same information: see `balancedUsers`. */
  readonly users: number;
  /** The level at which intervals are tightest. It only tunes the test. */
  readonly alpha: number;
}

/** Returns ln of the e-value against "there is no difference". */
export function logEvidenceOfDifference(z: number, size: SequenceSize): number {
  return logOfMixture(size, (information) => logOfNormalMixture(z, information));
}

/**
 * Returns ln of the e-value against the claim "the effect is not above the tested value", however far below it is. z >
 * 0 is evidence against the claim.
 */
export function logEvidenceAbove(z: number, size: SequenceSize): number {
  return logOfMixture(size, (information) => {
    const above = normalCdf(z * Math.sqrt(information / (1 + information)));
    return Math.LN2 + logOfNormalMixture(z, information) + Math.log(above);
  });
}

/** Returns the |z| at which a two-sided test of level alpha rejects: half the interval's width in standard errors. */
export function criticalZ(size: SequenceSize, alpha: number): number {
  return bisect((z) => logEvidenceOfDifference(z, size) < -Math.log(alpha), 0, certainZ(size, alpha));
}

/** Returns the z at which a one-sided test of level alpha rejects. */
export function criticalZAbove(size: SequenceSize, alpha: number): number {
  return bisect((z) => logEvidenceAbove(z, size) < -Math.log(alpha), 0, certainZ(size, alpha));
}

/**
 * Returns an interval that contains the effect at all looks together with a probability of 1 − alpha. Needs at least
 * one user.
 */
export function confidenceInterval({ estimate, variance }: Effect, size: SequenceSize, alpha: number): Interval {
  const halfWidth = Math.sqrt(variance) * criticalZ(size, alpha);
  return { lower: estimate - halfWidth, upper: estimate + halfWidth };
}

/** Returns the bounds of two one-sided tests, each with its own alpha. */
export function oneSidedBounds(
  { estimate, variance }: Effect,
  size: SequenceSize,
  alphas: { readonly lower: number; readonly upper: number },
): Interval {
  const error = Math.sqrt(variance);
  return {
    lower: estimate - error * criticalZAbove(size, alphas.lower),
    upper: estimate + error * criticalZAbove(size, alphas.upper),
  };
}

/**
 * Returns the information of one mixture: ρ² × users. ρ is tuned for intervals of level 1 − alpha at `tunedFor` users.
 */
function informationOf({ users, alpha }: SequenceSize, tunedFor: number): number {
  const twice = -2 * Math.log(alpha);
  return (users * (twice + Math.log(twice + 1))) / tunedFor;
}

function logOfNormalMixture(z: number, information: number): number {
  return -0.5 * Math.log1p(information) + (z * z * information) / (2 * (1 + information));
}

function logOfMixture(size: SequenceSize, logOf: (information: number) => number): number {
  const logs = MIXTURES.map(({ tunedFor, weight }) => Math.log(weight) + logOf(informationOf(size, tunedFor)));
  const most = Math.max(...logs);
  return most === Number.NEGATIVE_INFINITY
    ? most
    : most + Math.log(logs.reduce((sum, log) => sum + Math.exp(log - most), 0));
}

/** Returns a z at which both tests reject, since one weighted mixture alone reaches the needed evidence. */
function certainZ(size: SequenceSize, alpha: number): number {
  return Math.min(
    ...MIXTURES.map(({ tunedFor, weight }) => {
      const information = informationOf(size, tunedFor);
      const needed = 0.5 * Math.log1p(information) - Math.log(alpha * weight);
      return Math.sqrt((2 * (1 + information) * needed) / information);
    }),
  );
}

// Converts e-values to finite numbers, so that they can be written as JSON.

/** Returns the e-value for a logarithm, at most about 1e304. */
export function eValueOf(logEvidence: number): number {
  return Math.exp(Math.min(logEvidence, 700));
}

/** Returns the p-value of an e-value, valid at any look: its reciprocal, by Ville's inequality. */
export function alwaysValidP(logEvidence: number): number {
  return Math.min(1, Math.exp(-logEvidence));
}

/** Returns ln of the mean of two e-values, which is also an e-value. */
export function logOfMean(one: number, other: number): number {
  const most = Math.max(one, other);
  return most === Number.NEGATIVE_INFINITY
    ? most
    : most + Math.log((Math.exp(one - most) + Math.exp(other - most)) / 2);
}
