/**
 * How many users a test needs: to find an effect of `effect` with the probability `power`, its estimate must be expected
 * at the critical value plus the power's quantile, in standard errors. For the sequential test that is at the planned
 * size alone; it may find it earlier, so that its power is a little more than stated.
 */

import { bisect } from '../distributions/bisect.ts';
import { normalQuantile } from '../distributions/normal.ts';
import { criticalZ } from '../sequential/confidence-sequence.ts';
import { type ArmSample, balancedUsers, differenceOf, meanOf } from '../sequential/effect.ts';

export interface TestPlan {
  /** Two-sided. */
  readonly alpha: number;
  /** The probability with which an effect is found that exists. */
  readonly power: number;
  /** `sequential`: any number of looks; `fixed`: one look. */
  readonly looks: 'sequential' | 'fixed';
}

/** Beyond this multiple of the current users, a test is assumed never to end. */
const MOST_GROWTH = 1e6;

/** The difference, in the metric's unit, that the current users can detect; null if it cannot be estimated. */
export function detectableDifference(stable: ArmSample, arm: ArmSample, plan: TestPlan): number | null {
  const { variance } = differenceOf(stable, arm);
  if (variance === 0) return null;
  return Math.sqrt(variance) * neededZ(balancedUsers(stable.users, arm.users), plan);
}

/**
 * How many times the users that there are would find a difference of `difference` (not 0), in the metric's unit: 1 or less
 * where they do already. The arms' shares and variances are taken to stay. null: never, or nothing is known of it yet.
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

/** Users of each of two equal arms to find a relative effect on a share of `share`, before anything was seen. */
export function usersPerArmForShare(share: number, relativeEffect: number, plan: TestPlan): number | null {
  const other = share * (1 + relativeEffect);
  return usersPerArm(share * (1 - share), other * (1 - other), share * relativeEffect, plan);
}

/** The same of a mean with a standard deviation of `deviation`. */
export function usersPerArmForMean(
  mean: number,
  deviation: number,
  relativeEffect: number,
  plan: TestPlan,
): number | null {
  return usersPerArm(deviation ** 2, deviation ** 2, mean * relativeEffect, plan);
}

/** Relative to |stable mean|; null if that is 0. */
export function relativeTo(stable: ArmSample, difference: number): number | null {
  const base = Math.abs(meanOf(stable));
  return base === 0 ? null : difference / base;
}

function usersPerArm(one: number, other: number, difference: number, plan: TestPlan): number | null {
  const tooFew = (logUsers: number) => {
    const users = Math.exp(logUsers);
    return Math.sqrt((one + other) / users) * neededZ(2 * users, plan) > Math.abs(difference);
  };
  const most = Math.log(1e12);
  return tooFew(most) ? null : Math.ceil(Math.exp(bisect(tooFew, 0, most)));
}

function neededZ(users: number, { alpha, power, looks }: TestPlan): number {
  const critical = looks === 'fixed' ? normalQuantile(1 - alpha / 2) : criticalZ({ users, alpha }, alpha);
  return critical + normalQuantile(power);
}
