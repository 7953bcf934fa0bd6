/** GET /v1/models/{predictor}: the model versions of one predictor. */
import { createRoute } from '@hono/zod-openapi';
import { unknownPredictor } from '@tandem/freshness/errors';
import { ARCHIVED_QUERY, MODEL_EXAMPLE, ModelsOfPredictorSchema } from '@tandem/wire/models';
import { PredictorPath } from '@tandem/wire/parameters';
import { jsonResponse } from '../../http/body.ts';
import type { Endpoint } from '../../http/endpoint.ts';
import { problems } from '../../http/problems.ts';
import { listed, type ModelDependencies, modelView } from './model-view.ts';

export function listModelsOfPredictor({ models, registry }: ModelDependencies): Endpoint {
  return {
    route,
    scope: 'models:read',
    produces: 'application/json',
    query: ['archived'],
    async handle({ req }) {
      const name = req.param('predictor') ?? '';
      if (!(await registry.predictor(name))) throw unknownPredictor(name);
      const found = listed(await models.list({ predictor: name }), req.query('archived'));
      return jsonResponse({ models: found.map(modelView).reverse() });
    },
  };
}

const route = createRoute({
  operationId: 'listModelsOfPredictor',
  method: 'get',
  path: '/v1/models/{predictor}',
  tags: ['models'],
  summary: "A predictor's model versions",
  request: { params: PredictorPath, query: ARCHIVED_QUERY },
  responses: {
    200: {
      description: 'Newest first',
      content: {
        'application/json': {
          schema: ModelsOfPredictorSchema,
          example: {
            models: [
              MODEL_EXAMPLE,
              { ...MODEL_EXAMPLE, modelVersion: '1', createdAt: '2026-10-02T08:11:47.530Z', variants: [] },
            ],
          },
        },
      },
    },
    ...problems('unknown_predictor', 'invalid_input', 'unavailable'),
  },
});
