/**
 * Estimates the effect of a budget before it is spent: how many users a run scores, at what cost, and their share of
 * the reads until the next run. Reads of a user are assumed to be random, at the rate of the decayed count.
 */
import type { Budget } from '../runs/budget.ts';

/** The half-life of a read's count in milliseconds: three days, a compromise between frequency and recency. */
export const HALF_LIFE_MS = 259_200_000;

/** A group of users with about the same weight. */
export interface WeightGroup {
  readonly users: number;
  /** The weight of each user. */
  readonly weight: number;
}

/** The costs of earlier runs of a predictor. */
export interface RunCosts {
  /** The number of users in the last run of all users. */
  readonly users: number;
  /** CPU time of workers and their inference, in ms; null if no run has recorded it yet. */
  readonly cpuMsPerUser: number | null;
  readonly msPerUser: number;
}

/** The facts that an estimate needs before a budget is spent. */
export interface BudgetFacts {
  /** The time on Postgres' clock. */
  readonly now: Date;
  /** The costs of earlier runs; null if no run of all users has ended yet. */
  readonly costs: RunCosts | null;
  /** Groups of users, the most read first. */
  readonly groups: readonly WeightGroup[];
}

export interface BudgetEstimate {
  /** The scored share of all users. */
  readonly share: number;
  readonly users: number;
  /** The share of reads that read these users; null if no reads are counted yet. */
  readonly reads: number | null;
  /**
   * Of the users that will be read before the next run, the share that the budget covers; null if no reads are counted
   * yet.
   */
  readonly readers: number | null;
  readonly cpuMinutes: number | null;
  readonly seconds: number;
}

const MINUTE_MS = 60_000;

/**
 * Returns the number of users that fit into a budget; null if the budget is in CPU minutes and no run has recorded its
 * CPU time yet.
 */
export function usersWithin(budget: Budget, { users, cpuMsPerUser }: RunCosts): number | null {
  if ('share' in budget) return Math.min(users, Math.ceil(users * budget.share));
  if (cpuMsPerUser === null) return null;
  return Math.min(users, Math.floor((budget.cpuMinutes * MINUTE_MS) / cpuMsPerUser));
}

/**
 * Estimates the effect of a budget.
 * @param groups groups of users, the most read first
 * @param forMs milliseconds until the next run
 */
export function estimateBudget(
  scored: number,
  groups: readonly WeightGroup[],
  costs: RunCosts,
  forMs: number,
): BudgetEstimate {
  const all = { reads: 0, readers: 0 };
  const theirs = { reads: 0, readers: 0 };
  let left = scored;
  for (const { users, weight } of groups) {
    const taken = Math.min(users, left);
    left -= taken;
    const chance = chanceOfRead(weight, forMs);
    all.reads += users * weight;
    all.readers += users * chance;
    theirs.reads += taken * weight;
    theirs.readers += taken * chance;
  }
  const { cpuMsPerUser, msPerUser } = costs;
  return {
    share: costs.users === 0 ? 0 : scored / costs.users,
    users: scored,
    reads: all.reads === 0 ? null : theirs.reads / all.reads,
    readers: all.readers === 0 ? null : theirs.readers / all.readers,
    cpuMinutes: cpuMsPerUser === null ? null : (scored * cpuMsPerUser) / MINUTE_MS,
    seconds: (scored * msPerUser) / 1000,
  };
}

/**
 * Returns the probability that a user is read within a period. If the user is read at a constant rate, the mean weight
 * is that rate times half-life ÷ ln 2.
 */
function chanceOfRead(weight: number, forMs: number): number {
  return -Math.expm1((-weight * Math.LN2 * forMs) / HALF_LIFE_MS);
}
