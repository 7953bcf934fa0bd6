/** A verdict with its checks, as the wire has it. */
import { z } from '@hono/zod-openapi';
import type { Judgement } from '@tandem/experiment/verdict/rollout-figures';

const CheckSchema = z
  .strictObject({
    name: z.string().meta({ example: 'errorRate' }),
    arm: z.string().nullable(),
    guardrail: z.boolean(),
    state: z.enum(['pass', 'fail', 'inconclusive', 'skipped']),
    figures: z.record(z.string(), z.unknown()),
    why: z.string().meta({ description: 'For people' }),
  })
  .meta({ id: 'JudgementCheck' });

export const JudgementSchema = z
  .strictObject({
    verdict: z.enum(['promote', 'hold', 'roll_back']),
    reason: z.enum([
      'no_traffic',
      'too_few_users',
      'sample_ratio',
      'guardrail_worse',
      'sources_differ',
      'inconclusive',
      'step_too_short',
      'hold_deadline',
      'not_worse',
    ]),
    why: z.string(),
    checks: z.array(CheckSchema),
  })
  .meta({ id: 'Judgement' });

export const JUDGEMENT_EXAMPLE: z.output<typeof JudgementSchema> = {
  verdict: 'hold',
  reason: 'too_few_users',
  why: 'candidate has served 488 users, fewer than 1000',
  checks: [
    {
      name: 'users',
      arm: null,
      guardrail: false,
      state: 'fail',
      figures: { users: { stable: 9512, candidate: 488 } },
      why: 'candidate has served 488 users, fewer than 1000',
    },
  ],
};

export function judgementView({ checks, ...rest }: Judgement): z.output<typeof JudgementSchema> {
  return { ...rest, checks: checks.map(({ figures, ...check }) => ({ ...check, figures: { ...figures } })) };
}
