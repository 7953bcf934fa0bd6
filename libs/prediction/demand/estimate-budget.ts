/**
 * Estimates a budget before it is spent: how many users a run scores, at what cost, and which part of the reads until
 * the next run is theirs. Reads of a user are assumed to be random, at the rate of the decayed count.
 */
import type { Budget } from '../runs/budget.ts';

/** A read's count halves after this many milliseconds: three days, in which both frequency and recency show. */
export const HALF_LIFE_MS = 259_200_000;

/** Users whose weights are about the same. */
export interface WeightGroup {
  readonly users: number;
  /** Weight of one of them. */
  readonly weight: number;
}

/** Costs of earlier runs of a predictor. */
export interface RunCosts {
  /** Users of the last run of everyone. */
  readonly users: number;
  /** CPU time of workers and their inference, in ms; null: no run has recorded it yet. */
  readonly cpuMsPerUser: number | null;
  readonly msPerUser: number;
}

/** Facts that an estimate uses before a budget is spent. */
export interface BudgetFacts {
  /** On Postgres' clock. */
  readonly now: Date;
  /** Null: no run of everyone has ended yet. */
  readonly costs: RunCosts | null;
  /** The most read users first. */
  readonly groups: readonly WeightGroup[];
}

export interface BudgetEstimate {
  /** Share of all users. */
  readonly share: number;
  readonly users: number;
  /** The share of reads that are of these users; null: no reads are counted yet. */
  readonly reads: number | null;
  /** The share of users read before the next run that the budget covers; null: no reads are counted yet. */
  readonly readers: number | null;
  readonly cpuMinutes: number | null;
  readonly seconds: number;
}

const MINUTE_MS = 60_000;

/** The number of users that fit into a budget; null if no run has recorded its CPU time yet. */
export function usersWithin(budget: Budget, { users, cpuMsPerUser }: RunCosts): number | null {
  if ('share' in budget) return Math.min(users, Math.ceil(users * budget.share));
  if (cpuMsPerUser === null) return null;
  return Math.min(users, Math.floor((budget.cpuMinutes * MINUTE_MS) / cpuMsPerUser));
}

/**
 * @param groups the most read users first
 * @param forMs until the next run
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

/** For a user who is read at a constant rate, the mean weight is that rate times half-life ÷ ln 2. */
function chanceOfRead(weight: number, forMs: number): number {
  return -Math.expm1((-weight * Math.LN2 * forMs) / HALF_LIFE_MS);
}
