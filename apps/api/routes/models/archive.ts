/** PUT /v1/models/{predictor}/versions/{version}/archived: takes a model version out of lists and rollouts, or back in. */
import { unknownPredictor } from '@tandem/freshness/errors';
import { unknownVersion } from '@tandem/offline-store/models/version-labels';
import { ArchiveSchema, MODEL_DETAIL_EXAMPLE, ModelDetailSchema } from '@tandem/wire/models';
import { ModelVersionPath } from '@tandem/wire/parameters';
import { parseBody } from '../../http/body.ts';
import { jsonEndpoint } from '../../http/json-endpoint.ts';
import { type ModelDependencies, modelDetail } from './model-view.ts';
import { versionIn } from './version-number.ts';

const BODY = { schema: ArchiveSchema, example: { archived: true } };
const EXAMPLE = { ...MODEL_DETAIL_EXAMPLE, variants: [], archivedAt: '2026-11-21T16:02:40.001Z' };

export function archiveModel({ models, registry }: ModelDependencies) {
  return jsonEndpoint({
    operationId: 'archiveModel',
    method: 'put',
    path: '/v1/models/{predictor}/versions/{version}/archived',
    tag: 'models',
    summary: 'Archive a model version, or end that',
    description:
      'Lists leave an archived version out, and no rollout or rollback goes to it. Nothing of it is deleted. A version that an arm serves is refused. Pushing or adopting it again ends it too.',
    scope: 'models:write',
    params: ModelVersionPath,
    body: BODY,
    answer: { description: 'As it is now', schema: ModelDetailSchema, example: EXAMPLE },
    problems: ['unknown_predictor', 'unknown_model_version', 'version_in_use', 'unavailable'],
    async handle(context, event, { actor }) {
      const predictor = context.req.param('predictor') ?? '';
      const number = versionIn(context.req.param('version'), 'version');
      const { archived } = await parseBody(context, BODY);
      if (!(await registry.predictor(predictor))) throw unknownPredictor(predictor);
      await models.archive({ predictor, number, archived, actor });
      event.add({ predictor, modelVersion: number, archived });
      const [model] = await models.list({ predictor, number });
      if (!model) throw unknownVersion(predictor, number);
      return modelDetail(model);
    },
  });
}
