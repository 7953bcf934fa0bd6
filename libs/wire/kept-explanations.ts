/** Explanations, which are kept answers with their inputs; and the results of replays. */
import { z } from 'zod';
import { FeatureOriginSchema, OriginEventSchema, scalar } from './explanations.ts';
import { nextOf, pageQuery } from './page.ts';
import { PREDICTION_EXAMPLE, PredictionSchema } from './predictions.ts';
import type { Answered } from './schema.ts';

const FeatureSchema = z.strictObject({
  name: z.string(),
  value: scalar.meta({ description: 'The value that the model gets' }),
  from: FeatureOriginSchema,
  event: OriginEventSchema.optional(),
});

const InputsSchema = z.strictObject({
  read: z.enum(['for_the_answer', 'after_the_reply']).meta({
    description:
      'When the inputs were read: by the inference that gave the answer; or, for a stored answer, right after the reply',
  }),
  readAt: z.iso.datetime(),
  contextVersion: z.int(),
  ofSameContext: z.boolean().meta({
    description: 'Whether the answer was computed from this context version. If not, a replay may give another answer',
  }),
  features: z.array(FeatureSchema),
  fault: z
    .string()
    .nullable()
    .meta({ description: 'Why the user cannot be scored from these features; null if the user can be scored' }),
});

export const KeptExplanationSchema = z
  .strictObject({
    id: z.uuid(),
    at: z.iso.datetime().meta({ description: "When the read was answered, by the database's clock" }),
    keptUntil: z.iso.datetime(),
    answer: PredictionSchema,
    history: z
      .string()
      .nullable()
      .meta({ description: 'History of the database; null if the database did not answer' }),
    inputs: InputsSchema.nullable(),
    noInputs: z.enum(['no_row', 'not_read']).nullable().meta({
      description:
        'Why there are no inputs: the feature source had no row of the user, or did not answer; null if there are inputs',
    }),
  })
  .meta({ id: 'KeptExplanation' });

export type KeptExplanationView = Answered<typeof KeptExplanationSchema>;

/** An example for the API documentation and for tests of pages that show an explanation. */
export const KEPT_EXPLANATION_EXAMPLE = {
  id: '5b0c6a52-3a0e-4d0f-9c55-0d2f7b1d9a10',
  at: '2026-11-24T10:50:53.250Z',
  keptUntil: '2026-12-24T10:50:53.250Z',
  answer: {
    ...PREDICTION_EXAMPLE,
    ...{ source: 'live', reason: 'context_newer', generation: null, computedAt: '2026-11-24T10:50:53.244Z' },
    ...{ ageSeconds: 0, contextVersion: 6, lastConcerningVersion: 6, predictedFromContextVersion: 6 },
  },
  history: '9f2c4a1be07d3358',
  inputs: {
    read: 'for_the_answer',
    readAt: '2026-11-24T10:50:53.244Z',
    contextVersion: 6,
    ofSameContext: true,
    features: [
      { name: 'recency', value: 12, from: 'row' },
      {
        name: 'orders',
        value: 4,
        from: 'event',
        event: {
          ...{ source: '/shop/orders', id: 'order-1009' },
          ...{ time: '2026-11-24T10:12:00.000Z', acceptedAt: '2026-11-24T10:12:00.480Z' },
        },
      },
    ],
    fault: null,
  },
  noInputs: null,
} satisfies KeptExplanationView;

export const KeptPageSchema = z
  .strictObject({
    explanations: z.array(KeptExplanationSchema),
    next: nextOf(z.string()),
  })
  .meta({ id: 'ListKeptExplanationsAnswer' });

export const KeptQuery = pageQuery(z.string()).extend({ userId: z.string().optional().meta({ example: '42' }) });

export const ReplaySchema = z
  .strictObject({
    id: z.uuid(),
    verdict: z.enum(['agrees', 'differs', 'inputs_changed', 'refused']),
    reason: z.string(),
    kept: PredictionSchema.shape.prediction,
    recomputed: PredictionSchema.shape.prediction
      .nullable()
      .meta({ description: 'The prediction that the replay computed; null if the replay is refused' }),
    tolerance: z.number().nullable().meta({ description: "Relative tolerance from the model version's certificate" }),
    difference: z
      .strictObject({
        output: z.string(),
        kept: z.union([z.number(), z.string(), z.boolean()]),
        recomputed: z.union([z.number(), z.string(), z.boolean()]),
        difference: z
          .number()
          .nullable()
          .meta({ description: 'Absolute difference; null if the values are not floats' }),
        ofAllowed: z
          .number()
          .nullable()
          .meta({ description: '`difference` divided by the allowed difference; null if `difference` is null' }),
      })
      .nullable()
      .meta({
        description:
          'The difference that is largest relative to the allowed one; null if all values are equal to the last bit, or nothing was computed',
      }),
  })
  .meta({ id: 'Replay' });

export type ReplayView = Answered<typeof ReplaySchema>;

export const REPLAY_EXAMPLE = {
  id: KEPT_EXPLANATION_EXAMPLE.id,
  verdict: 'agrees',
  reason: 'equal to the last bit',
  kept: PREDICTION_EXAMPLE.prediction,
  recomputed: PREDICTION_EXAMPLE.prediction,
  tolerance: 0.00001,
  difference: null,
} satisfies ReplayView;
