/** A rollout in the wire format. */
import { TandemError } from '@tandem/freshness/errors';
import type { Rollout } from '@tandem/freshness/rollout';
import type { RolloutStore } from '../rules/rollout-store.ts';
import type { RolloutView } from '../wire/rollouts.ts';
import { planView } from './plan-view.ts';

export function rolloutView(rollout: Rollout): RolloutView {
  const { id, predictor, number, kind, state, reason, step, stepStartedAt, createdBy, createdAt, endedAt } = rollout;
  const arms = rollout.arms.map((arm) => ({
    variant: arm.name,
    modelVersion: String(arm.modelNumber),
    generation: arm.generationNumber === null ? null : String(arm.generationNumber),
    percent: (arm.endBucket - arm.firstBucket) / 100,
    firstBucket: arm.firstBucket,
    endBucket: arm.endBucket,
  }));
  return {
    id,
    predictor,
    rollout: String(number),
    kind,
    state,
    reason,
    step,
    percent: endedAt ? 0 : rollout.arms.reduce((sum, arm) => sum + arm.endBucket - arm.firstBucket, 0) / 100,
    stepStartedAt: stepStartedAt?.toISOString() ?? null,
    arms,
    salt: rollout.salt,
    plan: planView(rollout.plan),
    createdBy,
    createdAt: createdAt.toISOString(),
    endedAt: endedAt?.toISOString() ?? null,
  };
}

/** Finds a rollout. Rejects with `unknown_rollout`. */
export async function requireRollout(rollouts: Pick<RolloutStore, 'find'>, id: string): Promise<Rollout> {
  const rollout = await rollouts.find(id);
  if (rollout) return rollout;
  throw unknownRollout();
}

export function unknownRollout(): TandemError {
  return new TandemError('unknown_rollout', 'No rollout has this id.', {
    field: 'id',
    remedy: 'use the id of a rollout that GET /v1/rollouts returns',
  });
}
