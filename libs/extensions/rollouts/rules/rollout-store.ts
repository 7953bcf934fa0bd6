/**
 * The port of the rollout use cases to the store of rollouts and arms. Each change is one transaction with its audit
 * row.
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

/** An override: a user's manual assignment to an arm. */
export interface ArmOverride {
  readonly userId: string;
  readonly arm: string;
}

export interface ActiveRollout extends Rollout {
  /**
   * The milliseconds since the rollout's step began, or since its creation if it has no step, on the database's clock.
   */
  readonly phaseMs: number;
}

export interface RolloutStore {
  /**
   * Creates a rollout that is `preparing`, with arms without users. An arm gets its version's most recently used
   * generation, if that is kept and may serve.
   *
   * Rejects with `unknown_predictor`, `unknown_model_version`, `rollout_conflict` (another is active), `invalid_input`,
   * and `never_stable` (a canary with `atOnce` to a version that was never stable).
   */
  create(rollout: NewRollout): Promise<Rollout>;
  find(id: string): Promise<Rollout | undefined>;
  /** Returns rollouts, newest first; `before` is the id of the last one on the previous page. */
  list(query: { predictor?: string; limit: number; before?: string }): Promise<readonly Rollout[]>;
  /** Returns the rollouts that are preparing, running or held. */
  active(): Promise<readonly ActiveRollout[]>;
  /**
   * Moves a rollout from `preparing` to `running`: its arms get their users. Does nothing for a rollout in another
   * state.
   */
  begin(id: string, change: RolloutChange): Promise<Rollout>;
  /**
   * Moves a canary to a later step, from `held` too; the last step promotes. If `from` is given and is not the current
   * step, another caller moved the rollout, and nothing happens. Rejects with `rollout_conflict` unless the rollout is
   * running or held.
   */
  advance(id: string, change: RolloutChange, from?: number): Promise<Rollout>;
  /**
   * Makes an arm's version, generation and floor those of the stable arm, and ends the rollout. Rejects with
   * `rollout_conflict` for a shadow and while preparing, since their arms may not serve users.
   */
  promote(id: string, arm: string, change: RolloutChange): Promise<Rollout>;
  /** Records what an active rollout waits for. It writes no audit row, since nothing is moved. */
  note(id: string, reason: string): Promise<void>;
  hold(id: string, change: RolloutChange): Promise<Rollout>;
  resume(id: string, change: RolloutChange): Promise<Rollout>;
  /**
   * Aborts a rollout, even while preparing: from the commit on, the stable arm serves all users. Nothing is recomputed.
   */
  abort(id: string, change: RolloutChange): Promise<Rollout>;
  /**
   * Ends a shadow or an A/B test; the stable arm does not change. Rejects with `rollout_conflict` for a canary, which
   * must be promoted or aborted.
   */
  end(id: string, change: RolloutChange): Promise<Rollout>;
  /** Assigns a user to an arm; null removes the assignment. A rollout has at most 1,000 such users. */
  override(id: string, userId: string, arm: string | null, actor: string): Promise<void>;
  overrides(id: string): Promise<readonly ArmOverride[]>;
}

// A failing rollout must not block the others: its failure is reported separately, and retried in the next round.

export interface FailedRollout {
  readonly rollout: Rollout;
  readonly error: unknown;
}

/**
 * Returns the result of the work; undefined if the work failed. The failure is recorded in `failed`. A rollout that was
 * ended or moved in the meantime is not a failure.
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
