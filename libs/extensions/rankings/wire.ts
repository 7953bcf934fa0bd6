/** Rankings: the candidates of one call for one user, ordered by an output of the prediction. */

import { OutputsSchema, PREDICTION_EXAMPLE, PredictionSchema, RequestFeaturesSchema } from '@tandem/wire/predictions';
import { ProblemSchema } from '@tandem/wire/problem';
import type { Answered } from '@tandem/wire/schema';
import { z } from 'zod';

export const MAX_CANDIDATES = 500;
const MAX_ID = 256;
const ID_FORM = `expected a text of 1 to ${MAX_ID} characters`;
const LIMIT_FORM = `expected a whole number from 1 to ${MAX_CANDIDATES}`;

const CandidateSchema = z.strictObject({
  id: z
    .string(ID_FORM)
    .min(1, ID_FORM)
    .max(MAX_ID, ID_FORM)
    .meta({ description: 'The id of the candidate, unique in the call', example: 'sku-7' }),
  features: RequestFeaturesSchema,
});

export const RankSchema = z
  .strictObject({
    userId: z.string('expected a user id as text').meta({ example: '42' }),
    candidates: z
      .array(CandidateSchema, 'expected an array of { id, features }')
      .min(1, 'expected at least one candidate')
      .max(MAX_CANDIDATES, `expected at most ${MAX_CANDIDATES} candidates in one request`),
    by: z.string('expected the name of an output').optional().meta({
      description:
        "The output to rank by, in descending order; default: the decision's output, or the only numeric one",
      example: 'score',
    }),
    limit: z.int(LIMIT_FORM).min(1, LIMIT_FORM).max(MAX_CANDIDATES, LIMIT_FORM).optional().meta({
      description: 'Number of top candidates to return; default: all',
    }),
    itemsAsOf: z.iso.datetime({ offset: true, error: 'expected a time such as 2026-11-24T10:50:00Z' }).optional().meta({
      description: "When the caller read the candidates' features; the answer repeats it",
    }),
  })
  .meta({ id: 'Rank' });

const RankedSchema = z.strictObject({
  id: z.string(),
  score: z.union([z.number(), z.string()]).meta({
    description:
      'The value of the output `by`; a boolean counts as 0 or 1. As in `prediction`, a 64-bit integer beyond 2^53 is a text',
  }),
  prediction: OutputsSchema,
});

const RefusedSchema = z.strictObject({ id: z.string(), error: ProblemSchema });

const { predictor, userId, modelVersion, variant, contextVersion, lastConcerningVersion, predictedFromContextVersion } =
  PredictionSchema.shape;

export const RankingSchema = z
  .strictObject({
    ...{ predictor, userId, by: z.string() },
    ranked: z.array(RankedSchema).meta({ description: 'In descending order; ties keep the order of the call' }),
    refused: z.array(RefusedSchema).meta({ description: 'Candidates for which the model gave no usable output' }),
    source: z.literal('live'),
    reason: z.literal('requested'),
    ...{ modelVersion, variant },
    computedAt: z.iso.datetime(),
    ...{ contextVersion, lastConcerningVersion, predictedFromContextVersion },
    itemsAsOf: z.string().nullable().meta({ description: 'The time sent in the call; null if none was sent' }),
  })
  .meta({
    id: 'Ranking',
    description:
      'The ranked candidates of one call. One context version holds for all, since the features of the user were read once',
  });

export type RankingView = Answered<typeof RankingSchema>;

export const RANK_EXAMPLE = {
  userId: '42',
  by: 'score',
  limit: 10,
  itemsAsOf: '2026-11-24T10:50:00Z',
  candidates: [
    { id: 'sku-7', features: { price: 19.9, discount: 0.1 } },
    { id: 'sku-9', features: { price: 24.5, discount: 0 } },
  ],
};

export const RANKING_EXAMPLE = {
  predictor: 'offers',
  userId: '42',
  by: 'score',
  ranked: [
    { id: 'sku-9', score: 0.412, prediction: { score: 0.412 } },
    { id: 'sku-7', score: 0.318, prediction: { score: 0.318 } },
  ],
  refused: [],
  source: 'live',
  reason: 'requested',
  modelVersion: PREDICTION_EXAMPLE.modelVersion,
  variant: PREDICTION_EXAMPLE.variant,
  computedAt: '2026-11-24T10:50:53.244Z',
  contextVersion: 6,
  lastConcerningVersion: 6,
  predictedFromContextVersion: 6,
  itemsAsOf: '2026-11-24T10:50:00Z',
} satisfies RankingView;

export const RankHeaders = z.object({
  'cache-control': z.string().optional(),
  'prediction-min-context': z
    .string()
    .optional()
    .meta({ description: "An acknowledged event's contextToken", example: '9f2c4a1be07d3358.6' }),
});
