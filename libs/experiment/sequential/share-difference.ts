/**
 * The sequential test of two shares that guardrails use. Its e-value is the mean of two: the exact one, which is honest with
 * any counts, and the asymptotic one of confidence-sequence.ts, which needs half the users where events are common. The
 * latter counts 0 until each arm has enough events for a normal approximation, so that a handful of reads never speaks.
 */

import { bisect } from '../distributions/bisect.ts';
import { logExactEvidenceAbove, mostLikelyApart, type ShareCount } from '../distributions/exact-shares.ts';
import { logEvidenceAbove, logOfMean } from './confidence-sequence.ts';
import { balancedUsers, type Interval } from './effect.ts';

/** Users with the event, and without, that each arm has before its share is taken to be normally distributed. */
const EVENTS_FOR_NORMAL = 10;

export interface SharePair {
  readonly candidate: ShareCount;
  readonly stable: ShareCount;
}

/** Returns candidate − stable; 0 where an arm has no users. */
export function shareDifference({ candidate, stable }: SharePair): number {
  return candidate.users > 0 && stable.users > 0 ? shareOf(candidate) - shareOf(stable) : 0;
}

export function shareOf({ users, events }: ShareCount): number {
  return users > 0 ? events / users : 0;
}

/** ln of the e-value against "candidate − stable ≤ margin"; `alpha` only tunes it. */
export function logEvidenceShareAbove(pair: SharePair, margin: number, alpha: number): number {
  const { candidate, stable } = pair;
  return logOfMean(logExactEvidenceAbove(candidate, stable, margin), logNormalEvidenceAbove(pair, margin, alpha));
}

/** ln of the e-value against "candidate − stable ≥ margin". */
export function logEvidenceShareBelow({ candidate, stable }: SharePair, margin: number, alpha: number): number {
  return logEvidenceShareAbove({ candidate: stable, stable: candidate }, -margin, alpha);
}

/**
 * In which candidate − stable is. Each bound is that of a one-sided test, and holds at all looks together with a
 * probability of 1 − its alpha: where a bound passes a margin, that margin's e-value has reached 1 / alpha.
 */
export function shareInterval(pair: SharePair, alphas: { lower: number; upper: number }, tuning: number): Interval {
  const estimate = shareDifference(pair);
  const above = (margin: number) => logEvidenceShareAbove(pair, margin, tuning) >= -Math.log(alphas.lower);
  const below = (margin: number) => logEvidenceShareBelow(pair, margin, tuning) < -Math.log(alphas.upper);
  return { lower: bisect(above, -1, estimate), upper: bisect(below, estimate, 1) };
}

function logNormalEvidenceAbove(pair: SharePair, margin: number, alpha: number): number {
  const { candidate, stable } = pair;
  if (!hasEnough(candidate) || !hasEnough(stable)) return Number.NEGATIVE_INFINITY;
  const z = (shareDifference(pair) - margin) / Math.sqrt(varianceAt(pair, margin));
  return logEvidenceAbove(z, { users: balancedUsers(candidate.users, stable.users), alpha });
}

function hasEnough({ users, events }: ShareCount): boolean {
  return events >= EVENTS_FOR_NORMAL && users - events >= EVENTS_FOR_NORMAL;
}

/**
 * The larger of the variances at the shares that were seen and at the likeliest with this difference: skewed counts make
 * the first too small where few events were seen by luck, and the second where many were.
 */
function varianceAt({ candidate, stable }: SharePair, margin: number): number {
  const seen = bernoulliVariance(candidate, shareOf(candidate)) + bernoulliVariance(stable, shareOf(stable));
  const [p, q] = mostLikelyApart(candidate, stable, margin);
  return Math.max(seen, bernoulliVariance(candidate, p) + bernoulliVariance(stable, q));
}

function bernoulliVariance({ users }: ShareCount, p: number): number {
  return (p * (1 - p)) / users;
}
