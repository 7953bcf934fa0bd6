/** Port of the rollout use cases: where rollouts and arms have their truth. Each change is one transaction with its audit row. */

import { isTandemError } from '@tandem/freshness/errors';
import type { Rollout, RolloutPlan } from '@tandem/freshness/rollout';

export interface NewRollout {
  readonly predictor: string;
  readonly plan: RolloutPlan;
  /** Who asks, as the audit says it: `key:<name>`, `api`, `cli`. */
  readonly actor: string;
}

/** A change of a rollout: who makes it and why, and the figures that it rests on. */
export interface RolloutChange {
  readonly actor: string;
  readonly reason: string;
  readonly figures?: Readonly<Record<string, unknown>>;
}

/** Whom a rollout's arm is given by hand. */
export interface ArmOverride {
  readonly userId: string;
  readonly arm: string;
}

export interface ActiveRollout extends Rollout {
  /** Milliseconds since its step began, or it was created where none has begun; by the database's clock. */
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
  /** Newest first; `before` is the id of the last one of the page before. */
  list(query: { predictor?: string; limit: number; before?: string }): Promise<readonly Rollout[]>;
  /** Those that are preparing, running or held. */
  active(): Promise<readonly ActiveRollout[]>;
  /** `preparing` → `running`: its arms are given their users; does nothing for one that is not preparing. */
  begin(id: string, change: RolloutChange): Promise<Rollout>;
  /**
   * A canary goes to a later step, from `held` too; the last step promotes. Where `from` is given and is not the step that
   * it has, somebody else moved it: nothing is done. Rejects `rollout_conflict` where it is not running or held.
   */
  advance(id: string, change: RolloutChange, from?: number): Promise<Rollout>;
  /**
   * An arm's version, generation and floor become those of the stable arm, and the rollout is over. Rejects
   * `rollout_conflict` where nobody may be served from it: of a shadow, and while it is preparing.
   */
  promote(id: string, arm: string, change: RolloutChange): Promise<Rollout>;
  /** Says what an active rollout waits for; no audit row, since nothing is moved. */
  note(id: string, reason: string): Promise<void>;
  hold(id: string, change: RolloutChange): Promise<Rollout>;
  resume(id: string, change: RolloutChange): Promise<Rollout>;
  /** Everybody is served from the stable arm again, from the commit on; nothing is recomputed. Also while preparing. */
  abort(id: string, change: RolloutChange): Promise<Rollout>;
  /**
   * A shadow or an A/B test is over, and nothing changes for who is served from the stable arm. Rejects `rollout_conflict`
   * of a canary, which is promoted or aborted.
   */
  end(id: string, change: RolloutChange): Promise<Rollout>;
  /** Puts a user into an arm, or (null) leaves them to their bucket again. At most 1,000 users. */
  override(id: string, userId: string, arm: string | null, actor: string): Promise<void>;
  overrides(id: string): Promise<readonly ArmOverride[]>;
}

// One rollout must not hold up the others: what fails of it is told beside them, and tried again in the next round.

export interface FailedRollout {
  readonly rollout: Rollout;
  readonly error: unknown;
}

/**
 * What the work gives; undefined where it failed, which is put down in `failed`. That somebody ended or moved the rollout
 * in the meantime is no failure.
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
