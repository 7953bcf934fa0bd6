/**
 * Port of the rollout use cases, to the store of rollouts and arms. Each change is one transaction with its audit row.
 */

import { isTandemError } from '@tandem/freshness/errors';
import type { Rollout, RolloutPlan } from '@tandem/freshness/rollout';

export interface NewRollout {
  readonly predictor: string;
  readonly plan: RolloutPlan;
  /** The actor, as in the audit: `key:<name>`, `api`, `cli`. */
  readonly actor: string;
}

/** A change of a rollout: actor, reason, and the figures that it is based on. */
export interface RolloutChange {
  readonly actor: string;
  readonly reason: string;
  readonly figures?: Readonly<Record<string, unknown>>;
}

/** A user's assignment to an arm by hand. */
export interface ArmOverride {
  readonly userId: string;
  readonly arm: string;
}

export interface ActiveRollout extends Rollout {
  /** Milliseconds since its step began, or, without a step, since its creation; by the database's clock. */
  readonly phaseMs: number;
}

export interface RolloutStore {
  /**
   * Creates a rollout, `preparing`, with arms without users. An arm gets the generation of its version that an arm used
   * last, if one is kept that may serve.
   *
   * Rejects `unknown_predictor`, `unknown_model_version`, `rollout_conflict` (another is active), `invalid_input`, and
   * `never_stable` (a canary with `atOnce` to a version that was never stable).
   */
  create(rollout: NewRollout): Promise<Rollout>;
  find(id: string): Promise<Rollout | undefined>;
  /** Returns rollouts, newest first; `before` is the id of the last one on the previous page. */
  list(query: { predictor?: string; limit: number; before?: string }): Promise<readonly Rollout[]>;
  /** Returns the rollouts that are preparing, running or held. */
  active(): Promise<readonly ActiveRollout[]>;
  /** `preparing` → `running`: its arms get their users; does nothing for a rollout in another state. */
  begin(id: string, change: RolloutChange): Promise<Rollout>;
  /**
   * Moves a canary to a later step, from `held` too; the last step promotes. If `from` is given and is not the current
   * step, another caller moved it, and nothing happens. Rejects with `rollout_conflict` unless running or held.
   */
  advance(id: string, change: RolloutChange, from?: number): Promise<Rollout>;
  /**
   * Makes an arm's version, generation and floor those of the stable arm, and ends the rollout. Rejects with
   * `rollout_conflict` for a shadow and while preparing, since their arms may not serve users.
   */
  promote(id: string, arm: string, change: RolloutChange): Promise<Rollout>;
  /** Records what an active rollout waits for; without an audit row, since nothing is moved. */
  note(id: string, reason: string): Promise<void>;
  hold(id: string, change: RolloutChange): Promise<Rollout>;
  resume(id: string, change: RolloutChange): Promise<Rollout>;
  /**
   * Aborts the rollout: from the commit on, the stable arm serves all users; nothing is recomputed. Also while
   * preparing.
   */
  abort(id: string, change: RolloutChange): Promise<Rollout>;
  /**
   * Ends a shadow or an A/B test; the stable arm does not change. Rejects with `rollout_conflict` for a canary, which
   * is promoted or aborted.
   */
  end(id: string, change: RolloutChange): Promise<Rollout>;
  /** Assigns a user to an arm, or (null) removes the user's assignment. At most 1,000 users. */
  override(id: string, userId: string, arm: string | null, actor: string): Promise<void>;
  overrides(id: string): Promise<readonly ArmOverride[]>;
}

// One rollout must not block the others: its failure is reported beside them and retried in the next round.

export interface FailedRollout {
  readonly rollout: Rollout;
  readonly error: unknown;
}

/**
 * Returns the result of the work; undefined if it failed, which is recorded in `failed`. A rollout that was ended or
 * moved in the meantime is not a failure.
 */
export async function orFailed<T>(
  rollout: Rollout,
  failed: FailedRollout[],
  work: () => Promise<T>,
): Promise<T | undefined> {
  try {
    return await work();
  } catch (error) {
    if (!isTandemError(error, 'rollout_conflict', 'unknown_rollout')) failed.push({ rollout, error });
    return undefined;
  }
}
