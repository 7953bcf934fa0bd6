/** GET /v1/models/{predictor}/versions/{version}: one model version, with its query and the results of its trial. */

import { defineEndpoint } from '@tandem/endpoints/define-endpoint';
import { requirePredictor } from '@tandem/endpoints/require-predictor';
import { versionIn } from '@tandem/endpoints/version-in';
import { unknownVersion } from '@tandem/offline-store/models/version-labels';
import { MODEL_DETAIL_EXAMPLE, ModelDetailSchema } from '@tandem/wire/models';
import { ModelVersionPath } from '@tandem/wire/parameters';
import type { RouteDependencies } from '../../wiring/route-dependencies.ts';
import { modelDetail } from './model-view.ts';

export function showModel({ models, registry }: RouteDependencies) {
  return defineEndpoint({
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
      const number = versionIn(req.param('version'), 'version');
      const { name: predictor } = await requirePredictor(registry, req.param('predictor'));
      const [model] = await models.list({ predictor, number });
      if (!model) throw unknownVersion(predictor, number);
      return modelDetail(model);
    },
  });
}
