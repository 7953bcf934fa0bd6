/** A generation as the wire has it. */
import { z } from '@hono/zod-openapi';
import type { Generation } from '@tandem/prediction/runs/generations';

export const GenerationSchema = z
  .strictObject({
    generation: z.string().meta({ description: 'Its number' }),
    predictor: z.string(),
    state: z.enum(['building', 'published', 'dropped']),
    inForce: z.boolean(),
    wasStable: z.boolean().meta({ description: 'Whether its model version was ever stable' }),
    servedStable: z.boolean().meta({ description: 'Whether the stable arm ever served this generation' }),
    modelVersion: z.string(),
    users: z.int(),
    runId: z.uuid(),
    startedAt: z.iso.datetime(),
    publishedAt: z.iso.datetime().nullable(),
  })
  .meta({ id: 'Generation' });

type GenerationView = z.output<typeof GenerationSchema>;

export const GENERATION_EXAMPLE: GenerationView = {
  generation: '17',
  predictor: 'repurchase',
  state: 'published',
  inForce: true,
  wasStable: true,
  servedStable: true,
  modelVersion: '2',
  users: 2357,
  runId: '0199b5d4-6f0e-7c3a-9d6e-0d4a6f3f2b11',
  startedAt: '2026-11-24T02:00:00.120Z',
  publishedAt: '2026-11-24T02:00:14.913Z',
};

export function generationView(generation: Generation): GenerationView {
  const { number, predictor, state, inForce, wasStable, servedStable } = generation;
  const { modelNumber, users, runId, startedAt, publishedAt } = generation;
  return {
    generation: String(number),
    predictor,
    state,
    inForce,
    wasStable,
    servedStable,
    modelVersion: String(modelNumber),
    users,
    runId,
    startedAt: new Date(startedAt).toISOString(),
    publishedAt: publishedAt?.toISOString() ?? null,
  };
}
