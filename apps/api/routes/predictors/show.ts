/** GET /v1/predictors/{predictor}: its policies, and the model version and generation in force. */
import { createRoute } from '@hono/zod-openapi';
import { unknownPredictor } from '@tandem/freshness/errors';
import { PredictorPath } from '@tandem/wire/parameters';
import { PREDICTOR_EXAMPLE, PredictorSchema } from '@tandem/wire/predictors';
import { jsonResponse } from '../../http/body.ts';
import type { Endpoint } from '../../http/endpoint.ts';
import { problems } from '../../http/problems.ts';
import { type PredictorDependencies, predictorView } from './predictor-view.ts';

export function showPredictor({ registry, authority }: PredictorDependencies): Endpoint {
  return {
    route,
    scope: 'models:read',
    produces: 'application/json',
    async handle({ req }) {
      const name = req.param('predictor') ?? '';
      const certificate = await authority.certify([]);
      // Behind the certificate, which tells the registry of adoptions.
      const predictor = await registry.predictor(name);
      if (!predictor) throw unknownPredictor(name);
      return jsonResponse(predictorView(predictor, certificate));
    },
  };
}

const route = createRoute({
  operationId: 'showPredictor',
  method: 'get',
  path: '/v1/predictors/{predictor}',
  tags: ['predictors'],
  summary: 'One predictor',
  request: { params: PredictorPath },
  responses: {
    200: {
      description: 'The predictor',
      content: { 'application/json': { schema: PredictorSchema, example: PREDICTOR_EXAMPLE } },
    },
    ...problems('unknown_predictor', 'unavailable'),
  },
});
