/**
 * Estimates the effect of a budget before it is spent: how many users a run scores, at what cost, and their share of
 * the reads after it.
 *
 * The share is measured on recent days: the part of a day's reads that the most read users had, by the counts at the
 * start of the day. A count is thus never tested on the reads that it counts, as in a prequential forecast (Dawid,
 * 1984). Users without a count and users whose habits change are included, without a model of either.
 */
import type { Budget } from '../runs/budget.ts';

/** The half-life of a read's count in milliseconds: three days, a compromise between frequency and recency. */
export const HALF_LIFE_MS = 259_200_000;

/** The half-life of the reads that test the counts. */
export const RECENT_HALF_LIFE_MS = HALF_LIFE_MS / 2;

/** Users of about the same weight, and recent reads of users who had this weight at the start of the day. */
export interface WeightGroup {
  /** Whether the weight is above 0. */
  readonly isCounted: boolean;
  /** The number of users with this weight now. */
  readonly users: number;
  /** The decayed number of recent reads. */
  readonly reads: number;
  /** The expected number of these users that are read in a day, if each is read as often as recently. */
  readonly readers: number;
  /** The sum of the squares of `reads` over users. */
  readonly squares: number;
  /** The number of users with several recent reads. */
  readonly frequent: number;
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

/** The estimated effect of a budget. */
export interface BudgetEstimate {
  /** The scored share of all users. */
  readonly share: number;
  readonly users: number;
  /** The expected share of the next day's reads that read these users; null if too few reads are counted. */
  readonly reads: number | null;
  /** A 95 % interval of `reads`. docs/schedules.md says how often it covers the share. */
  readonly readsInterval: { readonly low: number; readonly high: number } | null;
  /** The share of these users in the users that will be read on the next day; null if too few reads are counted. */
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

/** The least decayed number of recent reads, from about 1,000 reads in two weeks or 200 in a day. */
const LEAST_READS = 150;
/** The quantile of the normal distribution for 95 %. */
const Z = 1.96;
/** The standard error of `reads` for other reasons than chance, as days with a shorter history. Simulated. */
const OTHER_ERROR = 0.006;
/**
 * The factor of the variation of habits: of the measured days, of the next day, and once more for its skewness.
 * Simulated.
 */
const HABITS = 3;
/**
 * The part of the reads without a count by which the share of a budget rises as counts accumulate: the measured days had
 * shorter histories than the next day. It matters most if the budget reaches all users with a count. Simulated.
 */
const RISE = 0.2;

/**
 * Estimates the effect of a budget.
 * @param groups groups of users, the most read first
 */
export function estimateBudget(scored: number, groups: readonly WeightGroup[], costs: RunCosts): BudgetEstimate {
  const { cpuMsPerUser, msPerUser } = costs;
  return {
    share: costs.users === 0 ? 0 : scored / costs.users,
    users: scored,
    ...estimateReads(scored, groups, costs.users),
    cpuMinutes: cpuMsPerUser === null ? null : (scored * cpuMsPerUser) / MINUTE_MS,
    seconds: (scored * msPerUser) / 1000,
  };
}

function estimateReads(scored: number, groups: readonly WeightGroup[], users: number) {
  const all = { reads: 0, readers: 0, squares: 0, frequent: 0 };
  const theirs = { ...all };
  let [guessed, uncounted, counted] = [0, 0, 0];
  let rest = Math.max(
    users,
    groups.reduce((sum, group) => sum + group.users, 0),
  );
  let left = scored >= users ? Number.POSITIVE_INFINITY : scored;
  for (const group of groups) {
    // All users without a count are in the last group.
    const size = group.isCounted ? group.users : rest;
    const part = size === 0 ? Number(left > 0) : Math.min(1, left / size);
    // A run chooses users without a count by their changes, so their part is only known by half.
    if (group.isCounted) counted += group.users;
    else {
      uncounted = group.reads;
      guessed = (group.reads * part * (1 - part)) / 2;
    }
    rest -= size;
    left -= size * part;
    for (const key of ['reads', 'readers', 'squares', 'frequent'] as const) {
      all[key] += group[key];
      theirs[key] += group[key] * part;
    }
  }
  if (all.reads < LEAST_READS) return { reads: null, readsInterval: null, readers: null };
  const reads = theirs.reads / all.reads;
  const error = Z * Math.sqrt(variance(reads, theirs, all) + (guessed / all.reads) ** 2);
  const rise = reads < 1 ? (RISE * uncounted * Math.min(1, scored / Math.max(1, counted))) / all.reads : 0;
  const readsInterval = { low: Math.max(0, reads - error), high: Math.min(1, reads + error + rise) };
  return { reads, readsInterval, readers: theirs.readers / all.readers };
}

/**
 * Returns the variance of a share of reads as a forecast of the next day. The first term is the variance of a ratio
 * of sums over users. The second is the variation of habits: each frequent user may become as unpredictable as other
 * frequent users were.
 */
function variance(
  share: number,
  theirs: Pick<WeightGroup, 'squares' | 'frequent'>,
  all: Pick<WeightGroup, 'reads' | 'squares' | 'frequent'>,
): number {
  const squares = theirs.squares * (1 - share) ** 2 + (all.squares - theirs.squares) * share ** 2;
  const frequent = (theirs.frequent + share) / (all.frequent + 1);
  const sample = (squares + HABITS * frequent * (1 - frequent) * all.squares) / all.reads ** 2;
  return sample + (share < 1 ? OTHER_ERROR ** 2 : 0);
}
