/** The report of a generation's comparison with the generation served before it. */
import { z } from 'zod';
import type { Answered } from './schema.ts';

const share = z.number().meta({ description: 'Share of the users in both generations, 0 to 1' });

const bound = z.number().optional();

const CoverageSchema = z
  .strictObject({
    before: z.int().meta({ description: 'Users in the generation that this one is compared with' }),
    now: z.int(),
    both: z.int(),
    added: z.int(),
    gone: z.int(),
  })
  .meta({ id: 'GenerationCoverage', description: 'How many users have a prediction' });

const INDEX = {
  psi: z.number().meta({
    description:
      'Population stability index over 20 classes, over all users of each generation, without what chance adds',
  }),
  psiLower: bound.meta({ description: 'Lower confidence bound of `psi`, 99 %; left out by earlier releases' }),
};

const SHIFT = {
  ...INDEX,
  meanBefore: z.number(),
  meanNow: z.number(),
  meanDelta: z.number().meta({ description: 'New minus previous value, over users in both generations' }),
  meanAbsoluteDelta: z.number(),
  meanAbsoluteDeltaLower: bound.meta({ description: 'Lower confidence bound of `meanAbsoluteDelta`, 99 %' }),
  p50AbsoluteDelta: z.number(),
  p99AbsoluteDelta: z.number(),
  largestDelta: z.number(),
  changed: share,
};

const ShiftSchema = z.strictObject(SHIFT).meta({ id: 'OutputShift', description: 'How a numeric output changed' });

const FLIPS = {
  up: z.int().meta({ description: 'Users who newly reach the threshold' }),
  down: z.int().meta({ description: 'Users who no longer reach the threshold' }),
  rate: share,
  rateLower: bound.meta({ description: 'Lower confidence bound of `rate`, 99 %' }),
};

const SegmentValueSchema = z
  .strictObject({
    value: z.string().nullable().meta({
      description:
        'Value of the segment column; null for users without a value, or with a value that has no segment of its own',
    }),
    users: CoverageSchema,
    shift: z.union([ShiftSchema, z.null()]).meta({
      description: 'Shift of the output that the decision uses; without a decision, of the first numeric output',
    }),
    flips: z.union([z.strictObject(FLIPS), z.null()]),
  })
  .meta({ id: 'SegmentValue' });

const FiguresSchema = z.strictObject({
  users: CoverageSchema,
  outputs: z.array(
    z.strictObject({
      ...{ name: z.string(), ...SHIFT },
      first: z
        .strictObject(INDEX)
        .optional()
        .meta({ description: 'Comparison with the first generation; left out if there is none' }),
    }),
  ),
  answers: z
    .array(z.strictObject({ name: z.string(), changed: share }))
    .meta({ description: 'Share of changed answers, for outputs that are texts or vectors' }),
  decision: z.union([z.strictObject({ output: z.string(), threshold: z.number(), ...FLIPS }), z.null()]),
  segments: z.array(
    z.strictObject({
      column: z.string(),
      values: z.array(SegmentValueSchema),
      others: z.union([SegmentValueSchema, z.null()]),
    }),
  ),
});

export const GenerationReportSchema = z
  .strictObject({
    predictor: z.string(),
    generation: z.string(),
    against: z.string().nullable().meta({ description: 'The generation that this one was compared with' }),
    first: z.string().nullable().meta({
      description:
        'The first generation of the model version, or the last one approved in spite of its PSI; null if there is none yet',
    }),
    verdict: z
      .enum(['passed', 'blocked', 'not_compared'])
      .meta({ description: '`blocked`: not published until an operator approves it' }),
    madeAt: z.iso.datetime(),
    tookMs: z.number(),
    sample: z.union([z.strictObject({ oneIn: z.int(), users: z.int() }), z.null()]).meta({
      description:
        'One of `oneIn` users was compared, chosen by a hash of the id; null if all users were compared, or none',
    }),
    outOfTime: z
      .enum(['sampled', 'held', 'published'])
      .nullable()
      .meta({ description: 'How far the comparison got before it ran out of time; null if it ended in time' }),
    figures: z
      .union([FiguresSchema, z.null()])
      .meta({ description: 'Figures of the comparison; null if nothing was compared, and `notes` give the reason' }),
    crossings: z.array(
      z.strictObject({
        setting: z.enum(['maxPsi', 'maxFlipRate', 'maxMeanDelta', 'minCoverage']),
        output: z.string().nullable(),
        against: z.enum(['previous', 'first']).optional().meta({ description: 'What a PSI compares with' }),
        value: z.number(),
        limit: z.number(),
      }),
    ),
    notes: z.array(z.string()).meta({ description: 'Parts that were not compared or not judged, and why' }),
    movers: z
      .array(z.strictObject({ userId: z.string(), before: z.number(), now: z.number(), delta: z.number() }))
      .meta({ description: 'At most 20 users, largest change first; users who were erased since are left out' }),
  })
  .meta({ id: 'GenerationReport' });

export type GenerationReportView = Answered<typeof GenerationReportSchema>;

const SHIFT_EXAMPLE = {
  psi: 0.41,
  psiLower: 0.36,
  meanBefore: 0.312,
  meanNow: 0.395,
  meanDelta: 0.083,
  meanAbsoluteDelta: 0.097,
  meanAbsoluteDeltaLower: 0.09,
  p50AbsoluteDelta: 0.051,
  p99AbsoluteDelta: 0.44,
  largestDelta: 0.612,
  changed: 0.97,
};

const FLIPS_EXAMPLE = { up: 212, down: 9, rate: 0.0940026, rateLower: 0.0797 };

const USERS_EXAMPLE = { before: 2357, now: 2360, both: 2351, added: 9, gone: 6 };

export const GENERATION_REPORT_EXAMPLE = {
  predictor: 'repurchase',
  generation: '18',
  against: '17',
  first: '3',
  verdict: 'blocked',
  madeAt: '2026-11-25T02:00:13.204Z',
  tookMs: 41,
  sample: null,
  outOfTime: null,
  figures: {
    users: USERS_EXAMPLE,
    outputs: [{ name: 'score', ...SHIFT_EXAMPLE, first: { psi: 0.47, psiLower: 0.42 } }],
    answers: [],
    decision: { output: 'score', threshold: 0.7, ...FLIPS_EXAMPLE },
    segments: [
      {
        column: 'country',
        values: [{ value: 'de', users: USERS_EXAMPLE, shift: SHIFT_EXAMPLE, flips: FLIPS_EXAMPLE }],
        others: null,
      },
    ],
  },
  crossings: [
    { setting: 'maxPsi', output: 'score', against: 'previous', value: 0.41, limit: 0.25 },
    { setting: 'maxPsi', output: 'score', against: 'first', value: 0.47, limit: 0.25 },
  ],
  notes: [],
  movers: [{ userId: '42', before: 0.219, now: 0.831, delta: 0.612 }],
} satisfies GenerationReportView;
