/** Why a read of a user gets its answer now. */
import { z } from 'zod';
import { PREDICTION_EXAMPLE, PredictionSchema } from './predictions.ts';
import { ProblemSchema } from './problem.ts';
import type { Answered } from './schema.ts';
import { CANDIDATE_EXAMPLE, CandidateSchema, EVENT_VALUE_EXAMPLE, StoresSchema } from './users.ts';

export const scalar = z.union([z.number(), z.string()]).nullable();

export const FeatureOriginSchema = z.enum(['row', 'event', 'request', 'default']).meta({
  description:
    'Origin of the value: the feature source or an event; for a request feature, the call or the declared default',
});

/** The event that set a value. */
export const OriginEventSchema = z.strictObject({
  source: z.string(),
  id: z.string(),
  time: z.iso.datetime(),
  acceptedAt: z.iso.datetime(),
});

export const ExplanationSchema = z
  .strictObject({
    userId: z.string(),
    predictor: z.string(),
    at: z.iso.datetime().meta({ description: "When the explanation was made, by the database's clock" }),
    history: z.string(),
    user: z.strictObject({
      contextVersion: z.int(),
      lastConcerningVersion: z.int().meta({
        description:
          'The version of the last event that concerns the predictor. A prediction from an older version is not fresh',
      }),
      deletedVersion: z.int(),
    }),
    assignment: z.strictObject({
      modelVersion: z.string(),
      variant: z.string(),
      generation: z.string().nullable(),
      overlayFloor: z.int(),
      rolloutRevision: z.int(),
      expiresFrom: z.iso.datetime().nullable(),
    }),
    stores: StoresSchema,
    candidates: z.array(CandidateSchema),
    features: z.array(
      z.strictObject({
        name: z.string(),
        value: scalar.meta({ description: 'The value that the model receives' }),
        from: FeatureOriginSchema,
        rowValue: scalar
          .optional()
          .meta({ description: 'Value in the feature source; present only if an event overrides it' }),
        event: OriginEventSchema.optional(),
      }),
    ),
    featureFault: z
      .string()
      .nullable()
      .meta({ description: 'Why the user cannot be scored from these features, or null' }),
    featureProblem: z
      .union([ProblemSchema, z.null()])
      .meta({ description: 'Why the features could not be read; null if they were read' }),
    answer: z.union([PredictionSchema, z.null()]).meta({ description: 'The answer that a read gets now' }),
    answerProblem: z.union([ProblemSchema, z.null()]),
    cacheStatus: z.string().nullable(),
  })
  .meta({ id: 'Explanation', description: 'Why a user gets this answer now' });

export type ExplanationView = Answered<typeof ExplanationSchema>;

const { value: _value, ...EVENT_EXAMPLE } = EVENT_VALUE_EXAMPLE;

export const EXPLANATION_EXAMPLE = {
  userId: '42',
  predictor: 'repurchase',
  at: '2026-11-24T10:50:53.250Z',
  history: '9f2c4a1be07d3358',
  user: { contextVersion: 6, lastConcerningVersion: 6, deletedVersion: 0 },
  assignment: {
    modelVersion: '2',
    variant: 'stable',
    generation: '17',
    overlayFloor: 0,
    rolloutRevision: 18,
    expiresFrom: null,
  },
  stores: { redis: 'ok', postgres: 'ok' },
  candidates: [CANDIDATE_EXAMPLE],
  features: [
    { name: 'recency', value: 12, from: 'row' },
    { name: 'orders', value: 4, from: 'event', rowValue: 3, event: EVENT_EXAMPLE },
  ],
  featureFault: null,
  featureProblem: null,
  answer: {
    ...PREDICTION_EXAMPLE,
    source: 'live',
    reason: 'context_newer',
    generation: null,
    computedAt: '2026-11-24T10:50:53.251Z',
    ageSeconds: 0,
    contextVersion: 6,
    lastConcerningVersion: 6,
    predictedFromContextVersion: 6,
  },
  answerProblem: null,
  cacheStatus: 'tandem; fwd=stale; stored; detail=context_newer',
} satisfies ExplanationView;
