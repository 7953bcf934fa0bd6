/** Outcomes: what users did after they were served, as the application reports it, possibly days later. */

/** An outcome. `source` and `id` identify it permanently, so it counts once, however often it is sent. */
export interface Outcome {
  readonly source: string;
  readonly id: string;
  readonly userId: string;
  /** The name of the OutcomeMetric. */
  readonly name: string;
  /** The value that a `sum` adds; 1 if the sender gave none, so that the sum is a count. */
  readonly value: number;
  /** The time at which it happened; null: the time at which it is accepted. */
  readonly time: Date | null;
}

/** The limit of a value: the sum of squares of millions of users is still finite. */
export const MAX_OUTCOME_VALUE = 1e15;

/**
 * - `accepted`: stored. The user need not be known, and no rollout need count it
 * - `duplicate`: it was already accepted
 * - `erased`: the user is erased, and only the id was kept
 */
type OutcomeStatus = 'accepted' | 'duplicate' | 'erased';

export interface OutcomeResult extends Pick<Outcome, 'id' | 'source' | 'userId'> {
  readonly status: OutcomeStatus;
}

/** Port: stores outcomes in one transaction, all or none. Returns a result for each, in order. */
export interface OutcomeStore {
  /**
   * Rejects with `invalid_input` or `outcome_conflict`, at the field `[index].name`. Rejects with `unavailable` if the
   * result of the commit is unknown; the same outcomes may then be sent again.
   */
  accept(outcomes: readonly Outcome[]): Promise<readonly OutcomeResult[]>;
}
