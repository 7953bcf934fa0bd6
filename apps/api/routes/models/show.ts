/** GET /v1/models/{predictor}/versions/{version}: one model version, with its query and the results of its trial. */
import { unknownPredictor } from '@tandem/freshness/errors';
import { unknownVersion } from '@tandem/offline-store/models/version-labels';
import { MODEL_DETAIL_EXAMPLE, ModelDetailSchema } from '@tandem/wire/models';
import { ModelVersionPath } from '@tandem/wire/parameters';
import { jsonEndpoint } from '../../http/json-endpoint.ts';
import { type ModelDependencies, modelDetail } from './model-view.ts';
import { versionIn } from './version-number.ts';

export function showModel({ models, registry }: ModelDependencies) {
  return jsonEndpoint({
    operationId: 'showModel',
    method: 'get',
    path: '/v1/models/{predictor}/versions/{version}',
    tag: 'models',
    summary: 'A model version',
    scope: 'models:read',
    params: ModelVersionPath,
    answer: {
      description: 'Definition and trial results of the model version',
      schema: ModelDetailSchema,
      example: MODEL_DETAIL_EXAMPLE,
    },
    problems: ['unknown_predictor', 'unknown_model_version', 'invalid_input', 'unavailable'],
    async handle({ req }) {
      const predictor = req.param('predictor') ?? '';
      const number = versionIn(req.param('version'), 'version');
      if (!(await registry.predictor(predictor))) throw unknownPredictor(predictor);
      const [model] = await models.list({ predictor, number });
      if (!model) throw unknownVersion(predictor, number);
      return modelDetail(model);
    },
  });
}
