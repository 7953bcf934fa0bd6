/** Rollouts, which serve other model versions beside the stable one; and requests that change them. */

import { nextOf } from '@tandem/wire/page';
import type { Answered } from '@tandem/wire/schema';
import { z } from 'zod';
import { PLAN_EXAMPLE, RolloutPlanSchema } from './rollout-plan.ts';

export const RolloutSchema = z
  .strictObject({
    id: z.uuid(),
    predictor: z.string(),
    rollout: z.string().meta({ description: 'Number of the rollout within its predictor' }),
    kind: z.enum(['canary', 'shadow', 'ab']),
    state: z.enum(['preparing', 'running', 'held', 'promoted', 'aborted', 'ended']),
    reason: z
      .string()
      .meta({ description: 'Reason for the state; while `preparing`, the parts that the rollout waits for' }),
    step: z.int().meta({ description: 'Current step of a canary, from 0' }),
    percent: z.number().meta({ description: 'Percent of users served from an arm other than stable' }),
    stepStartedAt: z.iso.datetime().nullable(),
    arms: z.array(
      z.strictObject({
        variant: z.string(),
        modelVersion: z.string(),
        generation: z.string().nullable(),
        percent: z.number(),
        firstBucket: z.int().meta({ description: "First bucket of the arm's users" }),
        endBucket: z.int().meta({ description: "End of the arm's buckets, exclusive" }),
      }),
    ),
    salt: z
      .string()
      .meta({ description: 'Salt of the hash. A hash of the salt and the user id gives one of 10,000 buckets' }),
    plan: RolloutPlanSchema,
    createdBy: z.string(),
    createdAt: z.iso.datetime(),
    endedAt: z.iso.datetime().nullable(),
  })
  .meta({ id: 'Rollout' });

export type RolloutView = Answered<typeof RolloutSchema>;

export const StartedRolloutSchema = RolloutSchema.extend({
  notes: z.array(z.string()).meta({
    description: 'For people: how many users the guardrail outcomes of a canary need, and which steps can decide',
  }),
}).meta({ id: 'StartedRollout' });

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

export const RolloutPageSchema = z
  .strictObject({
    rollouts: z.array(RolloutSchema),
    next: nextOf(z.uuid()),
  })
  .meta({ id: 'ListRolloutsAnswer' });

const moveReason = z
  .string()
  .min(1)
  .max(500)
  .optional()
  .meta({ description: 'Reason for the change, for the audit', example: 'support asked for it' });

export const MoveRolloutSchema = z.strictObject({ reason: moveReason }).meta({ id: 'MoveRollout' });

export const PromoteRolloutSchema = z
  .strictObject({
    reason: moveReason,
    variant: z
      .string()
      .max(63)
      .default('candidate')
      .meta({ description: 'The arm that becomes stable', example: 'candidate' }),
  })
  .meta({ id: 'PromoteRollout' });

export type PromoteRolloutBody = z.output<typeof PromoteRolloutSchema>;

export const ArmOverrideSchema = z
  .strictObject({ variant: z.string().max(63).meta({ example: 'candidate' }) })
  .meta({ id: 'ArmOverride' });

export const ArmOverridesSchema = z
  .strictObject({
    overrides: z.array(z.strictObject({ userId: z.string(), variant: z.string() }).meta({ id: 'OverriddenUser' })),
  })
  .meta({ id: 'ArmOverrides' });

export const ARM_OVERRIDES_EXAMPLE = { overrides: [{ userId: '42', variant: 'candidate' }] };
