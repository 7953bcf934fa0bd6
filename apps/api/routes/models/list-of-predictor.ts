/** GET /v1/models/{predictor}: the model versions of one predictor. */

import { defineEndpoint } from '@tandem/endpoints/define-endpoint';
import { requirePredictor } from '@tandem/endpoints/require-predictor';
import { ARCHIVED_QUERY, MODEL_EXAMPLE, ModelsOfPredictorSchema } from '@tandem/wire/models';
import { PredictorPath } from '@tandem/wire/parameters';
import type { RouteDependencies } from '../../wiring/route-dependencies.ts';
import { listed, modelView } from './model-view.ts';

export function listModelsOfPredictor({ models, registry }: RouteDependencies) {
  return defineEndpoint({
    operationId: 'listModelsOfPredictor',
    method: 'get',
    path: '/v1/models/{predictor}',
    tag: 'models',
    summary: "A predictor's model versions",
    scope: 'models:read',
    params: PredictorPath,
    query: ARCHIVED_QUERY,
    answer: {
      description: 'Newest first',
      schema: ModelsOfPredictorSchema,
      example: {
        models: [
          MODEL_EXAMPLE,
          { ...MODEL_EXAMPLE, modelVersion: '1', createdAt: '2026-10-02T08:11:47.530Z', variants: [] },
        ],
      },
    },
    problems: ['unknown_predictor', 'invalid_input', 'unavailable'],
    async handle({ req }) {
      const { name: predictor } = await requirePredictor(registry, req.param('predictor'));
      const found = listed(await models.list({ predictor }), req.query('archived'));
      return { models: found.map(modelView).reverse() };
    },
  });
}
