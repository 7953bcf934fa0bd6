/** A rollout's report as the wire has it. */
import { z } from '@hono/zod-openapi';
import type { RolloutReport } from '@tandem/prediction/rollouts/rollout-figures';
import { JUDGEMENT_EXAMPLE, JudgementSchema, judgementView } from './judgement-schema.ts';
import { ROLLOUT_EXAMPLE, RolloutSchema, type RolloutView } from './rollout-view.ts';

const ArmSchema = z.strictObject({
  variant: z.string(),
  users: z.int(),
  reads: z.int(),
  errors: z.int(),
  slow: z.int(),
  sources: z.record(z.string(), z.int()).meta({ description: 'Reads by the answer’s source' }),
});
const MeanSchema = z.strictObject({ users: z.int(), mean: z.number() });
const EstimateSchema = z.strictObject({ estimate: z.number(), lower: z.number(), upper: z.number() }).nullable();

const CONCLUSION_EXAMPLE = 'order: b is better than stable: +25 %';

const OutcomeSchema = z.strictObject({
  name: z.string(),
  variant: z.string(),
  stable: MeanSchema.meta({ description: 'Of users whose window is over' }),
  arm: MeanSchema,
  difference: EstimateSchema.meta({ description: 'The interval holds at every look; null where nothing varies' }),
  relative: EstimateSchema.meta({
    description: 'The same difference as a share of the stable mean; null where that may be 0',
  }),
  pValue: z.number().meta({ description: 'Against "no difference", valid at every look' }),
  eValue: z.number(),
  sofar: z.strictObject({ stable: MeanSchema, arm: MeanSchema }).meta({ description: 'Of all users: no test' }),
  moreDays: z
    .number()
    .nullable()
    .meta({ description: 'Until the minimum effect would be found; null where the stable mean may be 0' }),
  usersNeeded: z.number().nullable(),
  conclusion: z
    .strictObject({
      kind: z.enum(['better', 'worse', 'no_difference', 'undecided', 'no_data']),
      text: z.string().meta({ description: 'For people', example: CONCLUSION_EXAMPLE }),
    })
    .meta({ description: 'What follows, from the same interval: `no_difference` is none above `minimumEffect`' }),
  detectableEffect: z.number().nullable().meta({ description: 'Relative: what the users seen so far would find' }),
});

export const ReportSchema = z
  .strictObject({
    rollout: RolloutSchema,
    elapsedSeconds: z.number().meta({ description: 'Since the step began' }),
    arms: z.array(ArmSchema),
    judgement: JudgementSchema,
    outcomes: z.array(OutcomeSchema),
    multipleExposures: z.int(),
    newUsers: z.array(z.strictObject({ day: z.string(), users: z.int() })),
  })
  .meta({ id: 'RolloutReport' });

export type ReportView = z.output<typeof ReportSchema>;

export const REPORT_EXAMPLE: ReportView = {
  rollout: ROLLOUT_EXAMPLE,
  elapsedSeconds: 600,
  arms: [
    { variant: 'stable', users: 9512, reads: 20114, errors: 3, slow: 12, sources: { batch: 20011, live: 103 } },
    { variant: 'candidate', users: 488, reads: 1040, errors: 0, slow: 1, sources: { batch: 1034, live: 6 } },
  ],
  judgement: JUDGEMENT_EXAMPLE,
  outcomes: [],
  multipleExposures: 0,
  newUsers: [{ day: '2026-11-24', users: 10_000 }],
};

export function reportView(rollout: RolloutView, { figures, judgement, outcomes, ...rest }: RolloutReport): ReportView {
  return {
    rollout,
    elapsedSeconds: figures.elapsedMs / 1_000,
    arms: [figures.stable, ...figures.arms].map(({ name, users, reads, errors, slow, sources }) => ({
      ...{ variant: name, users, reads, errors, slow },
      sources: { ...sources },
    })),
    judgement: judgementView(judgement),
    outcomes: outcomes.map(({ metric, arm, mature, sofar }) => ({
      ...{ name: metric.name, variant: arm, stable: mature.stable, arm: mature.arm, sofar },
      ...{ difference: mature.difference, relative: mature.relative, pValue: mature.pValue, eValue: mature.eValue },
      ...mature.power,
      conclusion: { ...mature.conclusion },
    })),
    multipleExposures: rest.multipleExposures,
    newUsers: [...rest.newUsers],
  };
}
