/**
 * Computes how many users a test needs. To find an effect with the probability `power`, the expected estimate must be
 * the critical value plus the quantile of the power, in standard errors. For the sequential test, only the planned size
 * is considered. It may find the effect earlier, so its power is a little higher than stated.
 */

import { bisect } from '@tandem/experiment/distributions/bisect';
import { normalQuantile } from '@tandem/experiment/distributions/normal';
import { criticalZ } from '../sequential/confidence-sequence.ts';
import {
  type ArmSample,
  balancedUsers,
  differenceOf,
  effectiveEvents,
  type Interval,
  meanOf,
} from '../sequential/effect.ts';

export interface TestPlan {
  /** Two-sided. */
  readonly alpha: number;
  /** The probability of finding an existing effect. */
  readonly power: number;
  /** `sequential`: any number of looks; `fixed`: one look. */
  readonly looks: 'sequential' | 'fixed';
}

/** The probability of finding the minimum effect that plans assume. */
export const PLANNED_POWER = 0.8;

/** The effective events in each sample that an estimate of needed users requires. */
const ENOUGH = 30;
/**
 * The factor of the range of an estimate from that many events. The range contains the true number in at least 90 % of
 * simulated experiments for shares of users and for sums with a cap (forecast.test.ts).
 */
const FACTOR = 3;

/** Returns whether needed users can be estimated from the samples. */
export function hasEnough(...samples: readonly ArmSample[]): boolean {
  return samples.every((sample) => effectiveEvents(sample) >= ENOUGH);
}

/** Returns the range of an estimate of needed users. */
export function uncertain(estimate: number): Interval {
  return { lower: estimate / FACTOR, upper: estimate * FACTOR };
}

/**
 * Returns the difference, in the metric's unit, that can be detected with the current users; null if it cannot be
 * estimated.
 */
export function detectableDifference(stable: ArmSample, arm: ArmSample, plan: TestPlan): number | null {
  const { variance } = differenceOf(stable, arm);
  if (variance === 0) return null;
  return Math.sqrt(variance) * neededZ(balancedUsers(stable.users, arm.users), plan);
}

/** The largest considered multiple of the current users. A test that needs more is assumed never to end. */
const MOST_GROWTH = 1e6;

/**
 * Returns the multiple of the current users from which on `isEnough` is true; at most 1 if the current users suffice,
 * and null if no multiple is enough.
 */
export function neededGrowth(isEnough: (growth: number) => boolean): number | null {
  const most = Math.log(MOST_GROWTH);
  const isTooFew = (logGrowth: number) => !isEnough(Math.exp(logGrowth));
  return isTooFew(most) ? null : Math.exp(bisect(isTooFew, -most, most));
}

/** Returns a difference relative to |stable mean|; null if that is 0. */
export function relativeTo(stable: ArmSample, difference: number): number | null {
  const base = Math.abs(meanOf(stable));
  return base === 0 ? null : difference / base;
}

function neededZ(users: number, { alpha, power, looks }: TestPlan): number {
  const critical = looks === 'fixed' ? normalQuantile(1 - alpha / 2) : criticalZ({ users, alpha }, alpha);
  return critical + normalQuantile(power);
}
