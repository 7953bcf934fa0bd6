/** GET /v1/models/{predictor}/versions/{version}: one model version, with its query and the certificate of its trial. */
import { createRoute } from '@hono/zod-openapi';
import { unknownPredictor } from '@tandem/freshness/errors';
import { unknownVersion } from '@tandem/offline-store/models/version-labels';
import { MODEL_DETAIL_EXAMPLE, ModelDetailSchema } from '@tandem/wire/models';
import { ModelVersionPath } from '@tandem/wire/parameters';
import { jsonResponse } from '../../http/body.ts';
import type { Endpoint } from '../../http/endpoint.ts';
import { problems } from '../../http/problems.ts';
import { type ModelDependencies, modelDetail } from './model-view.ts';
import { versionIn } from './version-number.ts';

export function showModel({ models, registry }: ModelDependencies): Endpoint {
  return {
    route,
    scope: 'models:read',
    produces: 'application/json',
    async handle({ req }) {
      const predictor = req.param('predictor') ?? '';
      const number = versionIn(req.param('version'), 'version');
      if (!(await registry.predictor(predictor))) throw unknownPredictor(predictor);
      const [model] = await models.list({ predictor, number });
      if (!model) throw unknownVersion(predictor, number);
      return jsonResponse(modelDetail(model));
    },
  };
}

const route = createRoute({
  operationId: 'showModel',
  method: 'get',
  path: '/v1/models/{predictor}/versions/{version}',
  tags: ['models'],
  summary: 'A model version',
  request: { params: ModelVersionPath },
  responses: {
    200: {
      description: 'What decides its answers, and what its trial showed',
      content: { 'application/json': { schema: ModelDetailSchema, example: MODEL_DETAIL_EXAMPLE } },
    },
    ...problems('unknown_predictor', 'unknown_model_version', 'invalid_input', 'unavailable'),
  },
});
