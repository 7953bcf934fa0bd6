/** GET /v1/predictors/{predictor}/generations: newest first. */
import { createRoute } from '@hono/zod-openapi';
import { unknownPredictor } from '@tandem/freshness/errors';
import type { Registry } from '@tandem/freshness/reader';
import type { GenerationStore } from '@tandem/prediction/runs/run-store';
import { GENERATION_EXAMPLE, GenerationsSchema } from '@tandem/wire/generations';
import { PredictorPath } from '@tandem/wire/parameters';
import { jsonResponse } from '../../http/body.ts';
import type { Endpoint } from '../../http/endpoint.ts';
import { problems } from '../../http/problems.ts';
import { generationView } from './generation-view.ts';

export interface GenerationDependencies {
  readonly generations: Pick<GenerationStore, 'list' | 'rollBack' | 'stableVersions'>;
  readonly registry: Pick<Registry, 'predictor'>;
}

export function listGenerations({ generations, registry }: GenerationDependencies): Endpoint {
  return {
    route,
    scope: 'models:read',
    produces: 'application/json',
    async handle({ req }) {
      const name = req.param('predictor') ?? '';
      if (!(await registry.predictor(name))) throw unknownPredictor(name);
      const found = [...(await generations.list(name))].sort((a, b) => b.number - a.number);
      return jsonResponse({ generations: found.map(generationView) });
    },
  };
}

const route = createRoute({
  operationId: 'listGenerations',
  method: 'get',
  path: '/v1/predictors/{predictor}/generations',
  tags: ['predictors'],
  summary: "A predictor's generations",
  request: { params: PredictorPath },
  responses: {
    200: {
      description: 'Newest first',
      content: {
        'application/json': {
          schema: GenerationsSchema,
          example: { generations: [GENERATION_EXAMPLE] },
        },
      },
    },
    ...problems('unknown_predictor', 'unavailable'),
  },
});
