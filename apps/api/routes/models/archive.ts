/** PUT /v1/models/{predictor}/versions/{version}/archived: archives or restores a model version. */

import { parseBody } from '@tandem/endpoints/body';
import { defineEndpoint } from '@tandem/endpoints/define-endpoint';
import { requirePredictor } from '@tandem/endpoints/require-predictor';
import { versionIn } from '@tandem/endpoints/version-in';
import { unknownVersion } from '@tandem/offline-store/models/version-labels';
import { ArchiveSchema, MODEL_DETAIL_EXAMPLE, ModelDetailSchema } from '@tandem/wire/models';
import { ModelVersionPath } from '@tandem/wire/parameters';
import type { RouteDependencies } from '../../wiring/route-dependencies.ts';
import { modelDetail } from './model-view.ts';

const BODY = { schema: ArchiveSchema, example: { archived: true } };
const EXAMPLE = { ...MODEL_DETAIL_EXAMPLE, variants: [], archivedAt: '2026-11-21T16:02:40.001Z' };

export function archiveModel({ models, registry }: RouteDependencies) {
  return defineEndpoint({
    operationId: 'archiveModel',
    method: 'put',
    path: '/v1/models/{predictor}/versions/{version}/archived',
    tag: 'models',
    summary: 'Archive or restore a model version',
    description:
      'Archived versions are hidden in lists and cannot be targets of rollouts or rollbacks. Nothing is deleted. A version that an arm serves cannot be archived. Pushing or adopting the version again restores it.',
    scope: 'models:write',
    params: ModelVersionPath,
    body: BODY,
    answer: { description: 'The model version after the change', schema: ModelDetailSchema, example: EXAMPLE },
    problems: ['unknown_predictor', 'unknown_model_version', 'version_in_use', 'unavailable'],
    async handle(context, event, { actor }) {
      const number = versionIn(context.req.param('version'), 'version');
      const { archived } = await parseBody(context, BODY);
      const { name: predictor } = await requirePredictor(registry, context.req.param('predictor'));
      await models.archive({ predictor, number, archived, actor });
      event.add({ predictor, modelVersion: number, archived });
      const [model] = await models.list({ predictor, number });
      if (!model) throw unknownVersion(predictor, number);
      return modelDetail(model);
    },
  });
}
