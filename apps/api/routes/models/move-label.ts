/**
 * PUT /v1/models/{predictor}/labels/{label}: moves a label, which is a name for people, to a model version with a
 * certificate of a trial.
 */

import { parseBody } from '@tandem/endpoints/body';
import { defineEndpoint } from '@tandem/endpoints/define-endpoint';
import { requirePredictor } from '@tandem/endpoints/require-predictor';
import { LabelMoveSchema, MovedLabelSchema } from '@tandem/wire/models';
import { LabelPath } from '@tandem/wire/parameters';
import type { RouteDependencies } from '../../wiring/route-dependencies.ts';

const BODY = { schema: LabelMoveSchema, example: { version: '2' } };

export function moveModelLabel({ models, registry }: RouteDependencies) {
  return defineEndpoint({
    operationId: 'moveModelLabel',
    method: 'put',
    path: '/v1/models/{predictor}/labels/{label}',
    tag: 'models',
    summary: 'Move a label to a model version',
    description:
      'Labels do not change which version answers a read. `stable` and `candidate` are arms, which only rollouts move.',
    scope: 'models:write',
    params: LabelPath,
    body: BODY,
    answer: {
      description: 'The label points to this model version',
      schema: MovedLabelSchema,
      example: { predictor: 'repurchase', label: 'challenger', from: '1', to: '2' },
    },
    problems: ['unknown_predictor', 'unknown_model_version', 'version_unverified', 'unavailable'],
    async handle(context, event, { actor }) {
      const label = context.req.param('label') ?? '';
      const { version } = await parseBody(context, BODY);
      const { name: predictor } = await requirePredictor(registry, context.req.param('predictor'));
      const { from, to } = await models.moveLabel({ predictor, label, number: Number(version), actor });
      event.add({ predictor, label, from, to });
      return { predictor, label, from: from === null ? null : String(from), to: String(to) };
    },
  });
}
