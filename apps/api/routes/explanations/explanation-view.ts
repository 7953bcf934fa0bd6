/** An explanation as the wire has it. */
import { z } from '@hono/zod-openapi';
import { TandemError } from '@tandem/freshness/errors';
import { cacheStatus } from '../../http/caching.ts';
import { toProblem } from '../../http/problem.ts';
import { ProblemSchema } from '../../http/problem-schema.ts';
import { PredictionSchema, predictionView } from '../predictions/prediction-view.ts';
import { CandidateSchema, candidatesView, StoresSchema } from '../users/candidate-view.ts';
import type { ExplainedFeature, Explanation } from './explain.ts';

const scalar = z.union([z.number(), z.string()]).nullable();

export const ExplanationSchema = z
  .strictObject({
    userId: z.string(),
    predictor: z.string(),
    at: z.iso.datetime().meta({ description: "The database's clock" }),
    history: z.string(),
    user: z.strictObject({
      contextVersion: z.int(),
      lastConcerningVersion: z.int().meta({ description: 'A prediction from an older context is not fresh' }),
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
        value: scalar.meta({ description: 'What a model is given' }),
        from: z.enum(['row', 'event']),
        rowValue: scalar.optional().meta({ description: "The feature source's, where an event's lies over it" }),
        event: z
          .strictObject({
            source: z.string(),
            id: z.string(),
            time: z.iso.datetime(),
            acceptedAt: z.iso.datetime(),
          })
          .optional(),
      }),
    ),
    featureFault: z.string().nullable().meta({ description: 'Why the user cannot be scored' }),
    featureProblem: z.union([ProblemSchema, z.null()]).meta({ description: 'Why the features could not be read' }),
    answer: z.union([PredictionSchema, z.null()]).meta({ description: 'What a read answers now' }),
    answerProblem: z.union([ProblemSchema, z.null()]),
    cacheStatus: z.string().nullable(),
  })
  .meta({ id: 'Explanation' });

export function explanationView(explanation: Explanation): z.output<typeof ExplanationSchema> {
  const { predictor, userId, certificate, assignment, stored, features, result } = explanation;
  const user = certificate.user(userId, predictor.name);
  const isAnswer = !(result instanceof TandemError);
  return {
    userId,
    predictor: predictor.name,
    at: new Date(certificate.now).toISOString(),
    history: certificate.history,
    user: { contextVersion: user.version, lastConcerningVersion: user.touched, deletedVersion: user.deletedVersion },
    assignment: {
      modelVersion: String(assignment.modelNumber),
      variant: assignment.arm,
      generation: assignment.generation ? String(assignment.generation.number) : null,
      overlayFloor: assignment.overlayFloor,
      rolloutRevision: assignment.revision,
      expiresFrom: isoOrNull(assignment.expiresFrom),
    },
    ...candidatesView(stored, certificate.now),
    features: features instanceof TandemError ? [] : features.features.map(featureView),
    featureFault: features instanceof TandemError ? null : features.fault,
    featureProblem: features instanceof TandemError ? toProblem(features).problem : null,
    // A copy: what the stores hold is frozen, and its type here is the schema's.
    answer: isAnswer ? (predictionView(result) as z.output<typeof PredictionSchema>) : null,
    answerProblem: isAnswer ? null : toProblem(result).problem,
    cacheStatus: isAnswer ? cacheStatus(result, predictor.policy.freshness.maxAgeMs) : null,
  };
}

function featureView({ event, ...feature }: ExplainedFeature) {
  if (!event) return feature;
  const { source, id, time, accepted } = event;
  const moments = { time: new Date(time).toISOString(), acceptedAt: new Date(accepted).toISOString() };
  return { ...feature, event: { source, id, ...moments } };
}

function isoOrNull(ms: number | null): string | null {
  return ms === null ? null : new Date(ms).toISOString();
}
