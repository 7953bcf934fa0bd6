/**
 * Computes how many users a test needs. To find an effect with the probability `power`, the expected estimate must be
 * the critical value plus the quantile of the power, in standard errors. For the sequential test, only the planned size
 * is considered. It may find the effect earlier, so its power is a little higher than stated.
 */

import { bisect } from '../distributions/bisect.ts';
import { normalQuantile } from '../distributions/normal.ts';
import { criticalZ } from '../sequential/confidence-sequence.ts';
import {
  type ArmSample,
  balancedUsers,
  differenceOf,
  effectiveUsers,
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

/** The effective users of each sample that an estimate of needed users requires. */
const ENOUGH = 30;
/**
 * The factor of the range of an estimate from that many users. The range contains the true number in at least 90 % of
 * simulated experiments for each metric (forecast.test.ts). It is wide because of heavy tails.
 */
const FACTOR = 3;

/** Returns whether needed users can be estimated from the samples. */
export function hasEnough(...samples: readonly ArmSample[]): boolean {
  return samples.every((sample) => effectiveUsers(sample) >= ENOUGH);
}

/** Returns the range of an estimate of needed users. */
export function uncertain(estimate: number): Interval {
  return { lower: estimate / FACTOR, upper: estimate * FACTOR };
}

/** The largest considered multiple of the current users. A test that needs more is assumed never to end. */
const MOST_GROWTH = 1e6;

/**
 * Returns the difference, in the metric's unit, that can be detected with the current users; null if it cannot be
 * estimated.
 */
export function detectableDifference(stable: ArmSample, arm: ArmSample, plan: TestPlan): number | null {
  const { variance } = differenceOf(stable, arm);
  if (variance === 0) return null;
  return Math.sqrt(variance) * neededZ(balancedUsers(stable.users, arm.users), plan);
}

/**
 * Returns the multiple of the current users that would find a difference of `difference` (not 0), in the metric's unit;
 * at most 1 if the current users suffice. The arms' shares and variances are assumed to stay the same. Returns null if
 * no number is enough, or if nothing is known yet.
 */
export function neededGrowth(stable: ArmSample, arm: ArmSample, difference: number, plan: TestPlan): number | null {
  const { variance } = differenceOf(stable, arm);
  if (variance === 0) return null;
  const users = balancedUsers(stable.users, arm.users);
  const tooFew = (logGrowth: number) => {
    const growth = Math.exp(logGrowth);
    return Math.sqrt(variance / growth) * neededZ(users * growth, plan) > Math.abs(difference);
  };
  const most = Math.log(MOST_GROWTH);
  return tooFew(most) ? null : Math.exp(bisect(tooFew, -most, most));
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
