/**
 * Sums of outcomes by arm. An outcome counts if it happened within a metric's window after the user's first exposure,
 * whenever it was reported.
 */

import type { OutcomeMetric } from '@tandem/freshness/rollout';
import { addSums } from './arm-counts.ts';

/** Sums over users with one figure each: 1 or 0 for a binary metric, else the sum of the user's values. */
interface UserSums {
  readonly users: number;
  /** Users with at least one outcome in the window. */
  readonly usersWith: number;
  readonly sum: number;
  readonly sumOfSquares: number;
  /** The figure with the greatest amount, with its sign. */
  readonly largest: number;
}

/**
 * The values of a metric for users exposed to one arm only. `mature` covers users whose window has ended. Only they
 * enter the sequential test: it assumes that a user's figure does not change, so users with an open window would break
 * its error rate. `all` shows the trend to operators.
 */
export interface ArmOutcomes {
  readonly metric: OutcomeMetric;
  readonly arm: string;
  readonly mature: UserSums;
  readonly all: UserSums;
}

export interface OutcomeStatistics {
  readonly arms: readonly ArmOutcomes[];
  /** The time of the counts; null if not all of the step's users have been counted yet. */
  readonly asOf: Date | null;
}

/** Outcomes of all or some of an arm's users, for one metric. */
export interface OutcomeSums extends Omit<ArmOutcomes, 'metric'> {
  /** Number of the metric in the plan, from 1. */
  readonly no: number;
}

export const NO_USERS: UserSums = Object.freeze({ users: 0, usersWith: 0, sum: 0, sumOfSquares: 0, largest: 0 });

/** Adds up the sums of disjoint groups of users. Returns them ordered by metric and arm. */
export function addOutcomeSums(one: readonly OutcomeSums[], other: readonly OutcomeSums[]): readonly OutcomeSums[] {
  const cells = Map.groupBy([...one, ...other], ({ no, arm }) => `${no} ${arm}`);
  return [...cells.values()]
    .flatMap(([first, ...rest]) =>
      first ? [rest.reduce((sum, { mature, all }) => addUserSums(sum, mature, all), first)] : [],
    )
    .sort((a, b) => a.no - b.no || (a.arm < b.arm ? -1 : 1));
}

function addUserSums(sum: OutcomeSums, mature: UserSums, all: UserSums): OutcomeSums {
  const add = (a: UserSums, b: UserSums): UserSums => ({
    ...addSums(NO_USERS, a, b),
    largest: largestOf(a.largest, b.largest),
  });
  return { ...sum, mature: add(sum.mature, mature), all: add(sum.all, all) };
}

/** Returns the figure with the greatest amount; of two with the same amount, the positive one, as Postgres does. */
function largestOf(one: number, other: number): number {
  const [low, high] = [Math.min(one, other), Math.max(one, other)];
  return high >= -low ? high : low;
}
