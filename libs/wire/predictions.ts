/** Predictions of one user, and of many users in one request. */
import { REASON_NAMES } from '@tandem/freshness/reasons';
import { z } from 'zod';
import { ProblemSchema } from './problem.ts';
import type { Answered } from './schema.ts';

const value = z.union([z.number(), z.string(), z.boolean()]);

/** A field for each output of the model. */
export const OutputsSchema = z.record(z.string(), z.union([value, z.array(value)]));

export const PredictionSchema = z
  .strictObject({
    predictor: z.string(),
    userId: z.string(),
    prediction: OutputsSchema.meta({ description: "A field for each of the model's outputs" }),
    source: z.enum(['batch', 'live', 'stale', 'default']),
    reason: z.enum(REASON_NAMES),
    modelVersion: z.string(),
    variant: z.string(),
    generation: z
      .string()
      .nullable()
      .meta({ description: 'The generation that holds the answer; null if no full run stored it' }),
    computedAt: z.iso.datetime().nullable().meta({ description: 'When the answer was computed; null for a default' }),
    ageSeconds: z.int().nullable(),
    contextVersion: z
      .int()
      .nullable()
      .meta({ description: "The user's context version; null if the database did not answer" }),
    lastConcerningVersion: z.int().nullable().meta({
      description:
        'The version of the last event that concerns this predictor. A prediction from an older version is not fresh. Null if `contextVersion` is null',
    }),
    predictedFromContextVersion: z.int().nullable(),
  })
  .meta({ id: 'Prediction' });

export type PredictionView = Answered<typeof PredictionSchema>;

export const PREDICTION_EXAMPLE = {
  predictor: 'repurchase',
  userId: '42',
  prediction: { score: 0.831 },
  source: 'batch',
  reason: 'fresh',
  modelVersion: '2',
  variant: 'stable',
  generation: '17',
  computedAt: '2026-11-24T02:00:11.250Z',
  ageSeconds: 31_842,
  contextVersion: 5,
  lastConcerningVersion: 5,
  predictedFromContextVersion: 5,
} satisfies PredictionView;

export const ReadHeaders = z.object({
  'cache-control': z.string().optional().meta({ example: 'max-age=3600' }),
  'if-match': z
    .string()
    .optional()
    .meta({ description: 'Only `*` matches, since the tags of answers are weak', example: '*' }),
  'if-none-match': z.string().optional().meta({ example: 'W/"kGm2H0c1Qm9uYkq0mB7Lsg"' }),
  'prediction-min-context': z
    .string()
    .optional()
    .meta({ description: 'The contextToken of an acknowledged event', example: '9f2c4a1be07d3358.6' }),
});

export const PredictionHeaders = z.object({
  age: z.string().optional().meta({ description: 'Seconds since the prediction was computed', example: '31842' }),
  etag: z.string().meta({ example: 'W/"kGm2H0c1Qm9uYkq0mB7Lsg"' }),
  'cache-control': z.string().meta({ example: 'private, no-cache' }),
  'cache-status': z.string().meta({ description: 'RFC 9211', example: 'tandem; hit; ttl=97758' }),
  'server-timing': z.string().meta({ example: 'read;dur=0.62' }),
});

export const MAX_USERS = 1_000;

const MAX_FEATURES = 64;
const FEATURE_FORM = 'expected a number, a text, true or false';

/** Values of request features, by name; the predictor declares names and types. */
export const RequestFeaturesSchema = z
  .record(
    z.string(),
    z.union([z.number(), z.string(), z.boolean()], FEATURE_FORM),
    'expected an object with a value for each feature',
  )
  .refine((features) => Object.keys(features).length <= MAX_FEATURES, `expected at most ${MAX_FEATURES} features`)
  .meta({
    description: 'The request features that the predictor declares; a feature with a default may be left out',
    example: { amount: 129.9, channel: 'app' },
  });

const userIdText = z.string('expected a user id as text');

export const ReadManySchema = z
  .strictObject({
    userIds: z
      .array(userIdText, 'expected an array of user ids')
      .min(1, 'expected at least one user id')
      .max(MAX_USERS, `expected at most ${MAX_USERS} user ids in one request`)
      .optional()
      .meta({ example: ['42', '43', '043'] }),
    users: z
      .array(
        z.strictObject({ userId: userIdText, features: RequestFeaturesSchema }),
        'expected an array of { userId, features }',
      )
      .min(1, 'expected at least one user')
      .max(MAX_USERS, `expected at most ${MAX_USERS} users in one request`)
      .optional()
      .meta({
        description: 'Users with request features. Their predictions are inferred for this call and not stored',
      }),
  })
  .refine(({ userIds, users }) => (userIds === undefined) !== (users === undefined), {
    path: ['userIds'],
    message: 'expected either userIds, or users with features',
  })
  .meta({ id: 'ReadMany' });

const PredictionErrorSchema = z
  .strictObject({ userId: z.string(), error: ProblemSchema })
  .meta({ id: 'PredictionError' });

export const PredictionsSchema = z
  .strictObject({
    results: z.array(z.union([PredictionSchema, PredictionErrorSchema])),
  })
  .meta({ id: 'ReadPredictionsAnswer' });

export const ReadManyHeaders = z.object({ 'cache-control': z.string().optional() });
