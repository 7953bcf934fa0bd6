/**
 * Outcomes: what users did after they were served, as the application tells it, now or days later; and what a rollout
 * makes of them. Of all outcomes those count that lie in a metric's window after the user's first exposure, by the time
 * at which they happened, whenever they came in.
 */
import type { OutcomeMetric } from '@tandem/freshness/rollout';

/** An outcome. `source` and `id` identify it permanently: it counts once, however often it is sent. */
export interface Outcome {
  readonly source: string;
  readonly id: string;
  readonly userId: string;
  /** The name of the OutcomeMetric. */
  readonly name: string;
  /** The value that a `sum` adds; 1 if the sender gave none, so that the sum counts. */
  readonly value: number;
  /** When it happened; null: when it is accepted. */
  readonly time: Date | null;
}

/** Limit of a value: its square, summed over millions of users, is still a number. */
export const MAX_OUTCOME_VALUE = 1e15;

/**
 * - `accepted`: stored; whether a rollout counts it is another matter: the user need not even be known
 * - `duplicate`: it came before
 * - `erased`: the user is erased, and nothing was kept but the id
 */
type OutcomeStatus = 'accepted' | 'duplicate' | 'erased';

export interface OutcomeResult {
  readonly id: string;
  readonly source: string;
  readonly userId: string;
  readonly status: OutcomeStatus;
}

/** Port: takes outcomes in, in one transaction, all or none; a result for each, in order. */
export interface OutcomeStore {
  /**
   * Rejects with `invalid_input` or `outcome_conflict`, field `[index].name`; `unavailable` where it is not known whether
   * the commit took place: the same outcomes may be sent again.
   */
  accept(outcomes: readonly Outcome[]): Promise<readonly OutcomeResult[]>;
}

/** Sums over users with one figure each: 1 or 0 for a binary metric, else the sum of their values. */
interface UserSums {
  readonly users: number;
  /** Users with an outcome in the window at least. */
  readonly usersWith: number;
  readonly sum: number;
  readonly sumOfSquares: number;
}

/**
 * The values of a metric for users exposed to one arm only. `mature` covers users whose window has ended. Only they
 * enter the sequential test: it assumes that a user's figure does not change, so figures of users who still gather
 * outcomes would break its error rate. `all` is for people who watch the trend.
 */
export interface ArmOutcomes {
  readonly metric: OutcomeMetric;
  readonly arm: string;
  readonly mature: UserSums;
  readonly all: UserSums;
}

export interface OutcomeStatistics {
  readonly arms: readonly ArmOutcomes[];
  /** The moment that they are of; null: the step's users have not all been counted yet. */
  readonly asOf: Date | null;
}

/** Outcomes of an arm's users, or some of them, for one metric. */
export interface OutcomeSums {
  /** Number of the metric in the plan, from 1. */
  readonly no: number;
  readonly arm: string;
  readonly mature: UserSums;
  readonly all: UserSums;
}

/** Adds up the sums of different users; ordered by metric and arm. */
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
    users: a.users + b.users,
    usersWith: a.usersWith + b.usersWith,
    sum: a.sum + b.sum,
    sumOfSquares: a.sumOfSquares + b.sumOfSquares,
  });
  return { ...sum, mature: add(sum.mature, mature), all: add(sum.all, all) };
}
