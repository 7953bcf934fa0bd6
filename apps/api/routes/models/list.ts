/** GET /v1/models: the model versions of all predictors. */
import { createRoute, z } from '@hono/zod-openapi';
import { MODEL_EXAMPLE } from '@tandem/client/wire-examples';
import type { Endpoint } from '../../endpoint.ts';
import { jsonResponse } from '../../http/json-response.ts';
import { problems } from '../../problem-schema.ts';
import { type ModelDependencies, ModelSchema, modelViews } from './model-view.ts';

export function listModels({ models, registry, authority }: ModelDependencies): Endpoint {
  return {
    route,
    scope: 'models:read',
    produces: 'application/json',
    async handle() {
      const certificate = await authority.certify([]);
      // Behind the certificate, which tells the registry of adoptions.
      const predictors = await registry.predictors();
      const found = await Promise.all(
        predictors.map(async ({ name }) => modelViews(await models.list(name), certificate.assignments(name)?.stable)),
      );
      return jsonResponse({ models: found.flat() });
    },
  };
}

const route = createRoute({
  operationId: 'listModels',
  method: 'get',
  path: '/v1/models',
  tags: ['models'],
  summary: 'All model versions',
  responses: {
    200: {
      description: 'By predictor, the newest of each first',
      content: {
        'application/json': {
          schema: z.strictObject({ models: z.array(ModelSchema) }),
          example: { models: [MODEL_EXAMPLE] },
        },
      },
    },
    ...problems('unavailable'),
  },
});
