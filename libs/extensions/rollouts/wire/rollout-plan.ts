/** The plan of a rollout. Durations are texts, and each setting has a default. */

import { type Duration, parseDuration } from '@tandem/wire/durations';
import { VersionNumberSchema } from '@tandem/wire/models';
import { OUTCOME_NAME } from '@tandem/wire/parameters';
import type { Answered } from '@tandem/wire/schema';
import { z } from 'zod';

/** The number of buckets, each a hundredth of a percent of the users; the same as in libs/freshness/assignment.ts. */
export const BUCKETS = 10_000;

/**
 * Returns the schema of a duration.
 * @param most the upper limit, far above useful durations and within the range of clocks
 */
const duration = (most: Duration, least: Duration = '1ms') =>
  z
    .string()
    .superRefine((text, { addIssue }) => {
      const ms = parseDuration(text);
      if (ms === null) addIssue(ZERO.test(text) ? 'expected a duration above 0, such as "30s"' : DURATION_FORM);
      else if (ms < msOf(least)) addIssue(`expected at least ${least}`);
      else if (ms > msOf(most)) addIssue(`expected at most ${most}`);
    })
    .meta({ example: most });

const DURATION_FORM = 'expected a duration such as "30s", "10m", "6h" or "14d"';
const ZERO = /^0+(ms|s|m|h|d)$/;

/** A percentage of the users. Users are divided into 10,000 buckets, so a finer share would be rounded. */
const percent = z
  .number()
  .min(0.01)
  .max(100)
  .refine(
    (value) => Math.abs(value * 100 - bucketsOf(value)) < 1e-6,
    'expected at most two decimals: users are divided into 10,000 buckets',
  );

const bucketsOf = (value: number) => Math.round(value * 100);
const version = VersionNumberSchema.meta({ example: '3' });
const share = z.number().min(0).max(1);

const armName = z
  .string()
  .regex(/^[a-z][a-z0-9_-]{0,62}$/, 'expected a name of a-z, 0-9, _ and -, with a letter first')
  .refine((name) => name !== 'stable', 'the name "stable" is reserved for the arm of all other users');

const OutcomeSchema = z.strictObject({
  name: z
    .string()
    .regex(OUTCOME_NAME, 'expected a letter first, then letters, digits and _ . : -')
    .meta({ example: 'purchase' }),
  kind: z.enum(['binary', 'sum']).default('binary'),
  window: duration('90d')
    .default('14d')
    .meta({ description: "Outcomes count for this long after a user's first answer" }),
  better: z.enum(['higher', 'lower']).default('higher'),
  guardrail: z.boolean().default(false),
  minimumEffect: z
    .number()
    .positive()
    .max(10)
    .default(0.1)
    .meta({ description: 'Smallest relative effect worth detecting' }),
  cap: z.number().positive().max(1e15).nullable().default(null).meta({
    description:
      "Only for the kind `sum`: a user's sum counts up to this amount, in every arm. A cap bounds the effect of rare large values. If null or left out, there is no limit",
    example: 500,
  }),
});

const AnalysisSchema = z.strictObject({
  automatic: z.boolean().default(true).meta({ description: 'Whether verdicts change the rollout' }),
  dryRun: z.boolean().default(false).meta({ description: 'Whether verdicts are only recorded and not acted on' }),
  interval: duration('1d', '1s')
    .default('1m')
    .meta({ description: 'Time between two looks of the analysis, at least `1s`', example: '1m' }),
  minStep: duration('90d').default('10m'),
  minUsers: z.int().min(10).max(10_000_000).default(200),
  alpha: z.number().min(0.0001).max(0.5).default(0.05),
  errorRate: share.nullable().default(0.01),
  slowShare: share.nullable().default(0.05),
  slow: duration('5s').default('100ms').meta({
    description:
      'A read that takes longer is slow. The limit is rounded up to the next of 1, 2, 5, 10, … ms, up to 5 s',
    example: '100ms',
  }),
  liveShare: share.nullable().default(null),
  staleShare: share.nullable().default(0.05),
  defaultShare: share
    .nullable()
    .default(null)
    .meta({ description: 'Counts default answers only; `errorRate` includes them as well' }),
  psi: z.number().positive().max(100).nullable().default(null).meta({
    description:
      'Limit of the population stability index; by convention 0.25 is a large shift. If null or left out, a shift of the scores is only reported, since a new scale also counts as a shift',
  }),
  holdDeadline: duration('90d').nullable().default('7d').meta({
    description: 'How long a step may be held after `minStep` and the windows of guardrail outcomes have ended',
    example: '7d',
  }),
  preparingDeadline: duration('90d')
    .nullable()
    .default('1d')
    .meta({ description: 'How long a rollout may stay in `preparing`', example: '1d' }),
  onDeadline: z.enum(['alert', 'roll_back']).default('alert').meta({
    description: 'Effect of a missed deadline: an alert (`tandem_rollout_overdue_seconds`), or an abort',
  }),
  outcomes: z
    .array(OutcomeSchema)
    .max(20)
    .refine((all) => new Set(all.map(({ name }) => name)).size === all.length, 'an outcome is named more than once')
    .refine((all) => all.every(({ kind, cap }) => cap === null || kind === 'sum'), 'a cap needs the kind "sum"')
    .default([]),
});

export type AnalysisView = Answered<typeof AnalysisSchema>;

const coverage = z.enum(['required', 'live']).default('required');
const analysis = AnalysisSchema.prefault({});

const CanarySchema = z
  .strictObject({
    kind: z.literal('canary'),
    version,
    steps: z
      .array(percent)
      .min(1)
      .max(20)
      .refine(
        (steps) => steps.every((step, i) => i === 0 || step > (steps[i - 1] ?? 0)),
        'the percentages are not ascending; each must be greater than the previous one',
      )
      .refine((steps) => steps.at(-1) === 100, 'the last percentage is not 100')
      .optional()
      .meta({
        description: 'Percent of the users. Default: 1, 5, 25, 50, 100; with `atOnce` 100',
        example: [1, 5, 25, 50, 100],
      }),
    atOnce: z.boolean().default(false).meta({
      description:
        'Only for a former stable version. Skips the steps and the analysis: as soon as the version is loaded, all users are served from its kept generation',
    }),
    coverage,
    analysis,
  })
  .meta({ id: 'CanaryPlan' });

const ShadowSchema = z
  .strictObject({
    kind: z.literal('shadow'),
    version,
    share: share.default(0.1),
    maxPerSecond: z.number().positive().max(100_000).default(50),
  })
  .meta({ id: 'ShadowPlan' });

/**
 * The analysis of an A/B test. It has no `holdDeadline` by default, since a test runs for as long as its operators need
 * it.
 */
const AbAnalysisSchema = AnalysisSchema.extend({ holdDeadline: duration('90d').nullable().default(null) });

const AbSchema = z
  .strictObject({
    kind: z.literal('ab'),
    arms: z
      .array(z.strictObject({ variant: armName, version, weight: percent }))
      .min(1)
      .max(9)
      .refine(
        (arms) => new Set(arms.map(({ variant }) => variant)).size === arms.length,
        'several arms have the same name',
      )
      .refine(
        (arms) => arms.reduce((sum, { weight }) => sum + bucketsOf(weight), 0) <= BUCKETS,
        'the weights of the arms add up to more than 100',
      ),
    coverage,
    analysis: AbAnalysisSchema.prefault({}),
  })
  .meta({ id: 'AbPlan' });

export const RolloutPlanSchema = z
  .discriminatedUnion('kind', [CanarySchema, ShadowSchema, AbSchema], {
    error: ({ code }) => (code === 'invalid_union' ? 'expected canary, shadow or ab' : undefined),
  })
  .meta({ id: 'RolloutPlan' });

export type RolloutPlanView = Answered<typeof RolloutPlanSchema>;

export const DEFAULT_STEPS: readonly number[] = Object.freeze([1, 5, 25, 50, 100]);

export const PLAN_EXAMPLE = { ...CanarySchema.parse({ kind: 'canary', version: '3' }), steps: [...DEFAULT_STEPS] };

/** Returns the milliseconds of a duration that the schema has checked. */
export function msOf(text: string): number {
  return parseDuration(text) ?? 0;
}
