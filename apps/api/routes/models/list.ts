/** GET /v1/models: the model versions of all predictors. */
import { createRoute } from '@hono/zod-openapi';
import { ARCHIVED_QUERY, MODEL_EXAMPLE, ModelsSchema } from '@tandem/wire/models';
import { jsonResponse } from '../../http/body.ts';
import type { Endpoint } from '../../http/endpoint.ts';
import { problems } from '../../http/problems.ts';
import { listed, type ModelDependencies, modelView } from './model-view.ts';

export function listModels({ models }: Pick<ModelDependencies, 'models'>): Endpoint {
  return {
    route,
    scope: 'models:read',
    produces: 'application/json',
    query: ['archived'],
    async handle({ req }) {
      const found = listed(await models.list(), req.query('archived'));
      const byPredictor = Object.values(Object.groupBy(found, ({ predictor }) => predictor));
      return jsonResponse({ models: byPredictor.flatMap((versions = []) => versions.map(modelView).reverse()) });
    },
  };
}

const route = createRoute({
  operationId: 'listModels',
  method: 'get',
  path: '/v1/models',
  tags: ['models'],
  summary: 'All model versions',
  request: { query: ARCHIVED_QUERY },
  responses: {
    200: {
      description: 'By predictor, the newest of each first',
      content: {
        'application/json': {
          schema: ModelsSchema,
          example: { models: [MODEL_EXAMPLE] },
        },
      },
    },
    ...problems('invalid_input', 'unavailable'),
  },
});
