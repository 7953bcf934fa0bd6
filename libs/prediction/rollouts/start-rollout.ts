/** A rollout is asked for: it is written down, and what its arms lack is asked of the workers. */
import { isTandemError } from '@tandem/freshness/errors';
import type { Rollout, RolloutArm } from '@tandem/freshness/rollout';
import type { RunHints, RunStore } from '../runs/run-store.ts';
import type { Run } from '../runs/runs.ts';
import type { NewRollout, RolloutStore } from './rollout-store.ts';

export interface StartRolloutDependencies {
  readonly rollouts: Pick<RolloutStore, 'create'>;
  readonly runs: Pick<RunStore, 'create'>;
  readonly hints: Pick<RunHints, 'plan'>;
}

/** Rejects as RolloutStore.create does. The next round of prepare-rollouts.ts repeats steps that were lost. */
export async function startRollout(dependencies: StartRolloutDependencies, rollout: NewRollout): Promise<Rollout> {
  const made = await dependencies.rollouts.create(rollout);
  for (const arm of outdated(made)) await computeArm(dependencies, made, arm);
  return made;
}

/**
 * The arms to compute for: also arms that start with a kept generation of their version. With a generation older than
 * the stable arm's, more users would be answered live, which is not a difference between the versions.
 */
function outdated(rollout: Rollout): readonly RolloutArm[] {
  const { plan, arms } = rollout;
  if (plan.kind === 'shadow') return [];
  // As a rollback does, it recomputes nothing.
  return plan.kind === 'canary' && plan.atOnce ? uncomputed(rollout) : arms;
}

/** The arms that serve users, and have nothing computed ahead of time for them. */
export function uncomputed({ kind, arms }: Rollout): readonly RolloutArm[] {
  return kind === 'shadow' ? [] : arms.filter(({ generationId }) => generationId === null);
}

/**
 * Starts a run of the arm and returns it; null if one is under way, or the rollout is over by now; `never` for a version whose
 * request features lack defaults, which no run can score.
 */
export async function computeArm(
  { runs, hints }: Pick<StartRolloutDependencies, 'runs' | 'hints'>,
  { predictor }: Rollout,
  { name }: RolloutArm,
): Promise<Run | null | 'never'> {
  try {
    const run = { predictor, scope: { kind: 'all' }, reason: 'rollout', scheduleSlot: null, variant: name } as const;
    const created = await runs.create(run);
    await hints.plan(created.run.id);
    return created.run;
  } catch (error) {
    if (isTandemError(error, 'request_features_required')) return 'never';
    if (isTandemError(error, 'run_conflict', 'invalid_input', 'unknown_predictor')) return null;
    throw error;
  }
}
