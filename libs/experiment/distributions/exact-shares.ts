/**
 * An exact sequential test of two shares, for counts however small: the e-process of Wasserman, Ramdas and Balakrishnan
 * ("Universal inference", PNAS 117, 2020, §8), whose numerator is a mixture. Of each arm the likelihood is averaged over a
 * beta distribution set beforehand; that is divided by the greatest likelihood that the tested hypothesis allows. Whatever
 * the true shares under it are, the quotient is at most a martingale of expectation 1, with any order of arrivals and no
 * approximation: with no errors seen, or one of two, it says next to nothing.
 *
 * What it costs against a test tuned for many events is about 3 nats: about twice as many users where events are common,
 * little where they are rare.
 */
import { logBeta } from './gamma.ts';

/**
 * Users, and those of them with the event. Neither need be a whole number: shares of reads count as fractions of users.
 */
export interface ShareCount {
  readonly users: number;
  readonly events: number;
}

/** A beta distribution with most of its mass at small shares, as those of errors are, about even in their logarithm. */
const PRIOR = { a: 0.1, b: 1 } as const;
const LOG_PRIOR = logBeta(PRIOR.a, PRIOR.b);

/** A share that differs from 0 or 1 by less is lost where a margin is added to it. */
const RESOLUTION = 1e-15;

/** ln of the e-value against "candidate − stable ≤ margin". */
export function logExactEvidenceAbove(candidate: ShareCount, stable: ShareCount, margin: number): number {
  const mixture = logMixture(candidate) + logMixture(stable);
  const [p, q] = mostLikely(candidate, stable, margin);
  return mixture - logLikelihood(candidate, p) - logLikelihood(stable, q);
}

/** The shares, candidate's and stable's, of the greatest likelihood with candidate − stable ≤ margin. */
function mostLikely(candidate: ShareCount, stable: ShareCount, margin: number): readonly [number, number] {
  const p = candidate.users > 0 ? candidate.events / candidate.users : 0;
  const q = stable.users > 0 ? stable.events / stable.users : p;
  return p - q <= margin ? [p, q] : mostLikelyApart(candidate, stable, margin);
}

/**
 * Returns the most likely shares with candidate − stable = margin, as in Farrington and Manning (Statistics in Medicine
 * 9, 1990): where the slope of the concave log-likelihood along that line is 0.
 */
export function mostLikelyApart(
  candidate: ShareCount,
  stable: ShareCount,
  margin: number,
): readonly [candidate: number, stable: number] {
  let low = Math.max(0, -margin);
  let high = Math.min(1, 1 - margin);
  let q = (low + high) / 2;
  // Newton's steps, and bisection where one would leave the bracket.
  for (let step = 0; step < 60 && high - low > RESOLUTION; step++) {
    const slope = slopeAt(candidate, q + margin) + slopeAt(stable, q);
    if (slope > 0) low = q;
    else high = q;
    const next = q + slope / (bendAt(candidate, q + margin) + bendAt(stable, q));
    const inside = next > low && next < high;
    if (inside && Math.abs(next - q) < RESOLUTION) break;
    q = inside ? next : (low + high) / 2;
  }
  return [q + margin, q];
}

/** Returns the derivative of the log-likelihood at a share of p, and its decrease. */
function slopeAt({ users, events }: ShareCount, p: number): number {
  return (events > 0 ? events / p : 0) - (users > events ? (users - events) / (1 - p) : 0);
}

function bendAt({ users, events }: ShareCount, p: number): number {
  return (events > 0 ? events / (p * p) : 0) + (users > events ? (users - events) / (1 - p) ** 2 : 0);
}

function logLikelihood({ users, events }: ShareCount, p: number): number {
  const ofEvents = events > 0 ? events * Math.log(Math.max(p, RESOLUTION)) : 0;
  const ofOthers = users > events ? (users - events) * Math.log(Math.max(1 - p, RESOLUTION)) : 0;
  return ofEvents + ofOthers;
}

function logMixture({ users, events }: ShareCount): number {
  return logBeta(PRIOR.a + events, PRIOR.b + users - events) - LOG_PRIOR;
}
