/** A prediction as the wire has it. */
import { z } from '@hono/zod-openapi';
import type { ServedAnswer } from '@tandem/prediction/explanations/kept-explanation';

const value = z.union([z.number(), z.string(), z.boolean()]);

export const PredictionSchema = z
  .strictObject({
    predictor: z.string(),
    userId: z.string(),
    prediction: z
      .record(z.string(), z.union([value, z.array(value)]))
      .openapi({ description: "A field for each of the model's outputs" }),
    source: z.enum(['batch', 'live', 'stale', 'default']),
    reason: z.enum([
      'fresh',
      'context_newer',
      'missing',
      'expired',
      'version_changed',
      'rolled_back',
      'requested',
      'features_failed',
      'live_failed',
      'features_unusable',
      'output_unusable',
      'live_timeout',
      'overloaded',
      'unverified',
    ]),
    modelVersion: z.string(),
    variant: z.string(),
    generation: z.string().nullable().openapi({ description: 'Null for an answer that no full run stored' }),
    computedAt: z.iso.datetime().nullable().openapi({ description: 'Null for a default: nothing was computed' }),
    ageSeconds: z.int().nullable(),
    contextVersion: z.int().nullable().openapi({ description: "The user's; null where the database did not answer" }),
    predictedFromContextVersion: z.int().nullable(),
  })
  .openapi('Prediction');

export type PredictionView = z.output<typeof PredictionSchema>;

export function predictionView(answer: ServedAnswer) {
  return {
    predictor: answer.predictor,
    userId: answer.userId,
    prediction: answer.prediction,
    source: answer.source,
    reason: answer.reason,
    modelVersion: String(answer.modelNumber),
    variant: answer.variant,
    generation: answer.generationNumber === null ? null : String(answer.generationNumber),
    computedAt: answer.computedAt === null ? null : new Date(answer.computedAt).toISOString(),
    ageSeconds: answer.ageSeconds,
    contextVersion: answer.contextVersion,
    predictedFromContextVersion: answer.predictedFromContextVersion,
  };
}
