/** GET /v1/predictors: those that are adopted, by name. */
import { createRoute } from '@hono/zod-openapi';
import { PREDICTOR_EXAMPLE, PredictorsSchema } from '@tandem/wire/predictors';
import { jsonResponse } from '../../http/body.ts';
import type { Endpoint } from '../../http/endpoint.ts';
import { problems } from '../../http/problems.ts';
import { type PredictorDependencies, predictorView } from './predictor-view.ts';

export function listPredictors({ registry, authority }: PredictorDependencies): Endpoint {
  return {
    route,
    scope: 'models:read',
    produces: 'application/json',
    async handle() {
      const certificate = await authority.certify([]);
      // Behind the certificate, which tells the registry of adoptions.
      const all = await registry.predictors();
      return jsonResponse({ predictors: all.map((one) => predictorView(one, certificate)) });
    },
  };
}

const route = createRoute({
  operationId: 'listPredictors',
  method: 'get',
  path: '/v1/predictors',
  tags: ['predictors'],
  summary: 'All predictors',
  responses: {
    200: {
      description: 'By name',
      content: {
        'application/json': {
          schema: PredictorsSchema,
          example: { predictors: [PREDICTOR_EXAMPLE] },
        },
      },
    },
    ...problems('unavailable'),
  },
});
