/** The types of rollouts on the wire. The client gives some of them shorter names. */
import type { Answered, Sent } from '@tandem/transport/wire-types';
import type { RolloutPlanSchema } from './wire/rollout-plan.ts';
import type { RolloutChecksSchema, RolloutReportSchema } from './wire/rollout-report.ts';
import type { ArmOverridesSchema, RolloutPageSchema, RolloutSchema, StartedRolloutSchema } from './wire/rollouts.ts';
import type { ShadowReportSchema } from './wire/shadow-report.ts';

export type RolloutPlanInput = Sent<typeof RolloutPlanSchema>;
export type CanaryPlanInput = Extract<RolloutPlanInput, { readonly kind: 'canary' }>;
export type RolloutReport = Answered<typeof RolloutReportSchema>;
export type Judgement = RolloutReport['judgement'];
export type RolloutCheck = ListRolloutChecksAnswer['checks'][number];
export type ListRolloutChecksAnswer = Answered<typeof RolloutChecksSchema>;
export type Rollout = Answered<typeof RolloutSchema>;
export type StartedRollout = Answered<typeof StartedRolloutSchema>;
export type ListRolloutsAnswer = Answered<typeof RolloutPageSchema>;
export type ArmOverrides = Answered<typeof ArmOverridesSchema>;
export type OverriddenUser = ArmOverrides['overrides'][number];
export type ShadowReport = Answered<typeof ShadowReportSchema>;
