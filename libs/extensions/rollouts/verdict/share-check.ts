/** Checks guardrails on shares of reads: errors, slow answers, live answers. */

import { bisect } from '@tandem/experiment/distributions/bisect';
import { logExactEvidenceAbove, mostLikelyApart, type ShareCount } from '@tandem/experiment/distributions/exact-shares';
import { logEvidenceAbove, logOfMean } from '../sequential/confidence-sequence.ts';
import { balancedUsers, type Interval } from '../sequential/effect.ts';
import { type Alphas, evidenceOf, figure, percent, stateOf } from './evidence.ts';
import type { ArmFigures, Check, CheckState } from './rollout-figures.ts';

/** A guardrail on a share: the counted reads, and its name. */
export interface ShareGuardrail {
  readonly name: string;
  readonly words: string;
  readonly margin: number;
  readonly count: (arm: ArmFigures) => number;
}

/** Scales a count of reads to the arm's users, since an arm has at most as many users as reads. */
export function countOfUsers(arm: ArmFigures, count: number): ShareCount {
  const users = Math.min(arm.users, arm.reads);
  return { users, events: arm.reads > 0 ? (users * count) / arm.reads : 0 };
}

export function checkShare(guardrail: ShareGuardrail, stable: ArmFigures, arm: ArmFigures, alphas: Alphas): Check {
  const { name, margin, count } = guardrail;
  const pair = { candidate: countOfUsers(arm, count(arm)), stable: countOfUsers(stable, count(stable)) };
  const worse = evidenceOf(logEvidenceShareAbove(pair, margin, alphas.notWorse), alphas.worse);
  const notWorse = evidenceOf(logEvidenceShareBelow(pair, margin, alphas.notWorse), alphas.notWorse);
  const state = stateOf(worse, notWorse);
  const interval = shareInterval(pair, { lower: alphas.worse, upper: alphas.notWorse }, alphas.notWorse);
  const values = { [stable.name]: shareOf(pair.stable), [arm.name]: shareOf(pair.candidate) };
  const compared = `${guardrail.words}: ${percent(shareOf(pair.candidate))} in ${arm.name} and ${percent(shareOf(pair.stable))} in ${stable.name}`;
  const between = `the difference of ${percent(shareDifference(pair))} (${percent(interval.lower)} to ${percent(interval.upper)})`;
  return {
    name,
    arm: arm.name,
    guardrail: true,
    state,
    figures: {
      users: { [stable.name]: pair.stable.users, [arm.name]: pair.candidate.users },
      values,
      estimate: shareDifference(pair),
      ...interval,
      margin,
      worse,
      notWorse,
    },
    why: `${compared}; ${between} ${conclusionOf(state, percent(margin))} (e-values ${figure(worse.eValue)} and ${figure(notWorse.eValue)})`,
  };
}

/** Returns the text that compares a figure with its margin. */
export function conclusionOf(state: CheckState, margin: string): string {
  if (state === 'fail') return `is proven to be above ${margin}`;
  if (state === 'pass') return `is proven to be below ${margin}`;
  return `is not proven to be above or below ${margin}`;
}

// The sequential test of two shares for guardrails. Its e-value is the mean of two: the exact one, which is valid for
// any counts, and the asymptotic one of confidence-sequence.ts, which needs half the users if events are common. The
// asymptotic one counts as 0 until each arm has enough events for a normal approximation, so that a few reads are never
// evidence.

/** The least number of users with the event, and without it, in each arm for a normal approximation. */
const EVENTS_FOR_NORMAL = 10;

export interface SharePair {
  readonly candidate: ShareCount;
  readonly stable: ShareCount;
}

/** Returns candidate − stable; 0 if an arm has no users. */
function shareDifference({ candidate, stable }: SharePair): number {
  return candidate.users > 0 && stable.users > 0 ? shareOf(candidate) - shareOf(stable) : 0;
}

function shareOf({ users, events }: ShareCount): number {
  return users > 0 ? events / users : 0;
}

/** Returns ln of the e-value against "candidate − stable ≤ margin"; `alpha` only tunes it. */
export function logEvidenceShareAbove(pair: SharePair, margin: number, alpha: number): number {
  const { candidate, stable } = pair;
  return logOfMean(logExactEvidenceAbove(candidate, stable, margin), logNormalEvidenceAbove(pair, margin, alpha));
}

/** Returns ln of the e-value against "candidate − stable ≥ margin". */
export function logEvidenceShareBelow({ candidate, stable }: SharePair, margin: number, alpha: number): number {
  return logEvidenceShareAbove({ candidate: stable, stable: candidate }, -margin, alpha);
}

/**
 * Returns the interval of candidate − stable. Each bound is from a one-sided test, and is valid at all looks together
 * with a probability of 1 − its alpha. When a bound passes a margin, the e-value of the margin has reached 1 / alpha.
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
 * Returns the larger of two variances: at the observed shares, and at the most likely shares with this difference. For
 * skewed counts, the first is too small if few events occurred by chance, and the second if many did.
 */
function varianceAt({ candidate, stable }: SharePair, margin: number): number {
  const seen = bernoulliVariance(candidate, shareOf(candidate)) + bernoulliVariance(stable, shareOf(stable));
  const [p, q] = mostLikelyApart(candidate, stable, margin);
  return Math.max(seen, bernoulliVariance(candidate, p) + bernoulliVariance(stable, q));
}

function bernoulliVariance({ users }: ShareCount, p: number): number {
  return (p * (1 - p)) / users;
}
