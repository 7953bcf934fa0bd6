/** A rollout as the wire has it. */
import { z } from '@hono/zod-openapi';
import { TandemError } from '@tandem/freshness/errors';
import type { Rollout } from '@tandem/freshness/rollout';
import type { RolloutStore } from '@tandem/prediction/rollouts/rollout-store';
import { PLAN_EXAMPLE, planView, RolloutPlanSchema } from './plan-schema.ts';

export const RolloutSchema = z
  .strictObject({
    id: z.uuid(),
    predictor: z.string(),
    rollout: z.string().meta({ description: 'Its number, of its predictor' }),
    kind: z.enum(['canary', 'shadow', 'ab']),
    state: z.enum(['preparing', 'running', 'held', 'promoted', 'aborted', 'ended']),
    reason: z.string().meta({ description: 'Why it is in its state; while it is preparing, what it waits for' }),
    step: z.int().meta({ description: 'Of a canary: which of its steps, from 0' }),
    percent: z.number().meta({ description: 'Of the users, who are served from another arm than the stable one' }),
    stepStartedAt: z.iso.datetime().nullable(),
    arms: z.array(
      z.strictObject({
        variant: z.string(),
        modelVersion: z.string(),
        generation: z.string().nullable(),
        percent: z.number(),
        firstBucket: z.int().meta({ description: 'Its users are those of the buckets from here' }),
        endBucket: z.int().meta({ description: 'to here, which is not its own' }),
      }),
    ),
    salt: z.string().meta({ description: 'A user’s bucket of 10,000 is a hash of it and the id' }),
    plan: RolloutPlanSchema,
    createdBy: z.string(),
    createdAt: z.iso.datetime(),
    endedAt: z.iso.datetime().nullable(),
  })
  .meta({ id: 'Rollout' });

export type RolloutView = z.output<typeof RolloutSchema>;

export const ROLLOUT_EXAMPLE: RolloutView = {
  id: '0199b5d4-6f0e-7c3a-9d6e-0d4a6f3f2c22',
  predictor: 'repurchase',
  rollout: '3',
  kind: 'canary',
  state: 'running',
  reason: 'step 1 of 5 passed: all guardrails hold',
  step: 1,
  percent: 5,
  stepStartedAt: '2026-11-24T02:10:00.120Z',
  arms: [{ variant: 'candidate', modelVersion: '3', generation: '18', percent: 5, firstBucket: 0, endBucket: 500 }],
  salt: '0199b5d4-6f0e-4c3a-9d6e-0d4a6f3f2c23',
  plan: PLAN_EXAMPLE,
  createdBy: 'key:deploy',
  createdAt: '2026-11-24T02:00:00.000Z',
  endedAt: null,
};

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
    ...{ id, predictor, rollout: String(number), kind, state, reason, step },
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

const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;

/** Whether a text can be the id of a rollout at all. */
export function isRolloutId(id: string): boolean {
  return UUID.test(id);
}

/** Rejects with `unknown_rollout`. */
export async function requireRollout(rollouts: Pick<RolloutStore, 'find'>, id: string): Promise<Rollout> {
  const rollout = isRolloutId(id) ? await rollouts.find(id) : undefined;
  if (rollout) return rollout;
  throw unknownRollout();
}

export function unknownRollout(): TandemError {
  return new TandemError('unknown_rollout', 'There is no rollout of this id.', {
    field: 'id',
    remedy: 'GET /v1/rollouts lists them',
  });
}
