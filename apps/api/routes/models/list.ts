/** GET /v1/models: the model versions of all predictors. */

import { defineEndpoint } from '@tandem/endpoints/define-endpoint';
import { ARCHIVED_QUERY, MODEL_EXAMPLE, ModelsSchema } from '@tandem/wire/models';
import type { RouteDependencies } from '../../wiring/route-dependencies.ts';
import { listed, modelView } from './model-view.ts';

export function listModels({ models }: Pick<RouteDependencies, 'models'>) {
  return defineEndpoint({
    operationId: 'listModels',
    method: 'get',
    path: '/v1/models',
    tag: 'models',
    summary: 'All model versions',
    scope: 'models:read',
    query: ARCHIVED_QUERY,
    answer: {
      description: 'Model versions by predictor, newest first',
      schema: ModelsSchema,
      example: { models: [MODEL_EXAMPLE] },
    },
    problems: ['invalid_input', 'unavailable'],
    async handle({ req }) {
      const found = listed(await models.list(), req.query('archived'));
      const byPredictor = Object.values(Object.groupBy(found, ({ predictor }) => predictor));
      return { models: byPredictor.flatMap((versions = []) => versions.map(modelView).reverse()) };
    },
  });
}
