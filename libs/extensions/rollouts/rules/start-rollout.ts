/** Starts a rollout: creates it, and requests from the workers the runs that its arms lack. */
import { isTandemError } from '@tandem/freshness/errors';
import type { Rollout, RolloutArm } from '@tandem/freshness/rollout';
import type { RunHints, RunStore } from '@tandem/prediction/runs/run-store';
import type { Run } from '@tandem/prediction/runs/runs';
import type { NewRollout, RolloutStore } from './rollout-store.ts';

export interface StartRolloutDependencies {
  readonly rollouts: Pick<RolloutStore, 'create'>;
  readonly runs: Pick<RunStore, 'create'>;
  readonly hints: Pick<RunHints, 'plan'>;
}

/**
 * Creates a rollout and its runs. Rejects like RolloutStore.create. The next round of prepare-rollouts.ts repeats lost
 * steps.
 */
export async function startRollout(dependencies: StartRolloutDependencies, rollout: NewRollout): Promise<Rollout> {
  const made = await dependencies.rollouts.create(rollout);
  for (const arm of outdated(made)) await computeArm(dependencies, made, arm);
  return made;
}

/**
 * Returns the arms that need a run, including arms that start with a kept generation of their version. An arm with a
 * generation older than the stable arm's would answer more users live, and this difference would not come from the
 * versions.
 */
function outdated(rollout: Rollout): readonly RolloutArm[] {
  const { plan, arms } = rollout;
  if (plan.kind === 'shadow') return [];
  // A return to a former version recomputes nothing, like a rollback.
  return plan.kind === 'canary' && plan.atOnce ? uncomputed(rollout) : arms;
}

/** Returns the arms that serve users without a generation. */
export function uncomputed({ kind, arms }: Rollout): readonly RolloutArm[] {
  return kind === 'shadow' ? [] : arms.filter(({ generationId }) => generationId === null);
}

/**
 * Starts a run of the arm and returns it. Returns null if a run is unfinished or the rollout is over. Returns `never`
 * if the version has request features without defaults, so that no run can score it.
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
