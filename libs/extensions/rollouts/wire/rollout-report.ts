/** The figures of a rollout's answers, and the verdict on them. */

import type { Answered } from '@tandem/wire/schema';
import { z } from 'zod';
import { ROLLOUT_EXAMPLE, RolloutSchema } from './rollouts.ts';

const CheckSchema = z
  .strictObject({
    name: z.string().meta({ example: 'errorRate' }),
    arm: z.string().nullable().meta({ description: 'The arm that was checked; null if the check covers all arms' }),
    guardrail: z.boolean(),
    state: z.enum(['pass', 'fail', 'inconclusive', 'skipped']),
    figures: z.record(z.string(), z.unknown()),
    why: z.string().meta({ description: 'Reason for the state, for people' }),
  })
  .meta({ id: 'JudgementCheck' });

const JudgementSchema = z
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
      'look_failed',
    ]),
    why: z.string().meta({ description: 'The result in one sentence' }),
    checks: z.array(CheckSchema),
  })
  .meta({ id: 'Judgement' });

export type JudgementView = Answered<typeof JudgementSchema>;

export const JUDGEMENT_EXAMPLE: JudgementView = {
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

const ArmSchema = z.strictObject({
  variant: z.string(),
  users: z.int(),
  reads: z.int(),
  errors: z.int(),
  slow: z.int(),
  sources: z.record(z.string(), z.int()).meta({ description: 'Reads by source of the answer' }),
});

const MeanSchema = z.strictObject({ users: z.int(), mean: z.number() });

const ComparedMeanSchema = MeanSchema.extend({
  largest: z.number().meta({ description: "The user's value with the greatest amount" }),
});

const EstimateSchema = z.strictObject({ estimate: z.number(), lower: z.number(), upper: z.number() }).nullable();

const CONCLUSION_EXAMPLE = 'order: b is better than stable: +25 %';

const OutcomeSchema = z.strictObject({
  name: z.string(),
  variant: z.string(),
  cap: z.number().nullable().meta({ description: "Limit of a user's sum; null if there is none" }),
  stable: ComparedMeanSchema.meta({ description: 'Mean over users whose window has ended' }),
  arm: ComparedMeanSchema,
  difference: EstimateSchema.meta({
    description: 'Confidence interval of the difference, valid at every look; null if the values do not vary',
  }),
  relative: EstimateSchema.meta({
    description: 'The difference as a share of the stable mean; null if that mean may be 0',
  }),
  pValue: z.number().meta({ description: 'p-value of the hypothesis "no difference", valid at every look' }),
  eValue: z.number(),
  sofar: z
    .strictObject({ stable: MeanSchema, arm: MeanSchema })
    .meta({ description: 'Mean over all users. For information only: no test uses it' }),
  moreDays: z.strictObject({ lower: z.number(), upper: z.number() }).nullable().meta({
    description:
      'Range of the further days until the minimum effect is found or ruled out, at the present rate of new users; null if there is not enough data',
  }),
  usersNeeded: z.number().nullable().meta({
    description:
      'Users in both arms together that find or rule out the minimum effect, within a factor of 3; null if there is not enough data',
  }),
  conclusion: z
    .strictObject({
      kind: z.enum(['better', 'worse', 'no_difference', 'undecided', 'no_data']).meta({
        description: '`no_difference`: there is no effect above the minimum effect; `undecided`: nothing is proven yet',
      }),
      text: z.string().meta({ description: 'The conclusion in one sentence, for people', example: CONCLUSION_EXAMPLE }),
    })
    .meta({
      description: 'Conclusion from the same interval; `no_difference`: there is no effect above `minimumEffect`',
    }),
  detectableEffect: z
    .number()
    .nullable()
    .meta({ description: 'Smallest relative effect that can be detected with the users so far' }),
});

export const RolloutReportSchema = z
  .strictObject({
    rollout: RolloutSchema,
    elapsedSeconds: z.number().meta({ description: 'Seconds since the step began' }),
    arms: z.array(ArmSchema),
    judgement: JudgementSchema,
    outcomes: z.array(OutcomeSchema),
    outcomesAsOf: z.iso
      .datetime()
      .nullable()
      .meta({ description: 'When the pass that counted the outcomes began; null if no pass has ended in this step' }),
    outcomesError: z.string().nullable().meta({ description: 'Why the last count of outcomes failed' }),
    multipleExposures: z.int(),
    newUsers: z.array(z.strictObject({ day: z.string(), users: z.int() })),
  })
  .meta({ id: 'RolloutReport' });

export type RolloutReportView = Answered<typeof RolloutReportSchema>;

export const ROLLOUT_REPORT_EXAMPLE: RolloutReportView = {
  rollout: ROLLOUT_EXAMPLE,
  elapsedSeconds: 600,
  arms: [
    { variant: 'stable', users: 9512, reads: 20114, errors: 3, slow: 12, sources: { batch: 20011, live: 103 } },
    { variant: 'candidate', users: 488, reads: 1040, errors: 0, slow: 1, sources: { batch: 1034, live: 6 } },
  ],
  judgement: JUDGEMENT_EXAMPLE,
  outcomes: [],
  outcomesAsOf: null,
  outcomesError: null,
  multipleExposures: 0,
  newUsers: [{ day: '2026-11-24', users: 10_000 }],
};

export const RolloutChecksSchema = z
  .strictObject({
    checks: z.array(
      z
        .strictObject({
          at: z.iso.datetime(),
          step: z.int(),
          applied: z.boolean().meta({ description: 'Whether the verdict changed the rollout' }),
          judgement: JudgementSchema,
        })
        .meta({ id: 'RolloutCheck' }),
    ),
  })
  .meta({ id: 'ListRolloutChecksAnswer' });
