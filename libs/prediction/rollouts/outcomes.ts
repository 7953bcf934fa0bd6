/**
 * Outcomes: what users did after they were served, as the application tells it, now or days later; and what a rollout
 * makes of them. Of all outcomes those count that lie in a metric's window after the user's first exposure, by the time
 * at which they happened, whenever they came in.
 */
import type { OutcomeMetric } from '@tandem/freshness/rollout';

/** With `source`, `id` names an outcome for ever: it counts once, however often it is sent. */
export interface Outcome {
  readonly source: string;
  readonly id: string;
  readonly userId: string;
  /** As OutcomeMetric has it. */
  readonly name: string;
  /** What a `sum` adds up; 1 where the sender said nothing, so that it counts them. */
  readonly value: number;
  /** When it happened; null: when it is accepted. */
  readonly time: Date | null;
}

/** Of a value: its square, summed up over millions of users, is still a number. */
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

/** Sums over users, of whom each has one figure: 1 or 0 where the metric is binary, else the sum of their values. */
interface UserSums {
  readonly users: number;
  /** Those with an outcome in the window at least. */
  readonly usersWith: number;
  readonly sum: number;
  readonly sumOfSquares: number;
}

/**
 * What a metric says of an arm: of the users who were exposed to it and to no other. `mature` are those whose window is
 * over. A sequential test reads them alone: it takes for granted that the figure of a user whom it has seen stays as it
 * is, and so what it says of users who are still gathering outcomes is no error rate. `all` is for people who want to see
 * how it goes.
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

/** What the users of an arm, or some of them, did by one metric. */
export interface OutcomeSums {
  /** Of the metric in the plan, from 1. */
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
