/** PUT /v1/models/{predictor}/labels/{label}: a name that people use moves to a model version that passed its trial. */
import { createRoute, z } from '@hono/zod-openapi';
import { unknownPredictor } from '@tandem/freshness/errors';
import { jsonResponse, parseBody } from '../../http/body.ts';
import type { Endpoint } from '../../http/endpoint.ts';
import { predictorParameter } from '../../http/parameters.ts';
import { problems } from '../../http/problem-schema.ts';
import type { ModelDependencies } from './model-view.ts';
import { VersionNumberSchema } from './version-number.ts';

const BodySchema = z.strictObject({ version: VersionNumberSchema }).meta({ id: 'LabelMove' });
const BODY = { schema: BodySchema, example: { version: '2' } };

const MovedSchema = z
  .strictObject({
    predictor: z.string(),
    label: z.string(),
    from: z.string().nullable().meta({ description: 'The model version that had it; null: none' }),
    to: z.string(),
  })
  .meta({ id: 'MovedLabel' });

export function moveModelLabel({ models, registry }: ModelDependencies): Endpoint {
  return {
    route,
    scope: 'models:write',
    produces: 'application/json',
    async handle(context, event, { actor }) {
      const predictor = context.req.param('predictor') ?? '';
      const label = context.req.param('label') ?? '';
      const { version } = await parseBody(context, BODY);
      if (!(await registry.predictor(predictor))) throw unknownPredictor(predictor);
      const { from, to } = await models.moveLabel({ predictor, label, number: Number(version), actor });
      event.add({ predictor, label, from, to });
      return jsonResponse({ predictor, label, from: from === null ? null : String(from), to: String(to) });
    },
  };
}

const route = createRoute({
  operationId: 'moveModelLabel',
  method: 'put',
  path: '/v1/models/{predictor}/labels/{label}',
  tags: ['models'],
  summary: 'Give a label to a model version',
  description: 'Nobody is served otherwise by it. `stable` and `candidate` are arms, which rollouts move.',
  request: {
    params: z.object({
      predictor: predictorParameter,
      label: z.string().meta({
        param: { name: 'label', in: 'path' },
        description: 'A lower-case letter, then at most 62 of a-z, 0-9, ., _ and -',
        example: 'challenger',
      }),
    }),
    body: { required: true, content: { 'application/json': { schema: BodySchema, example: BODY.example } } },
  },
  responses: {
    200: {
      description: 'It names this model version now',
      content: {
        'application/json': {
          schema: MovedSchema,
          example: { predictor: 'repurchase', label: 'challenger', from: '1', to: '2' },
        },
      },
    },
    ...problems(
      'unknown_predictor',
      'unknown_model_version',
      'version_unverified',
      'body_too_large',
      'unsupported_media_type',
      'invalid_input',
      'unavailable',
    ),
  },
});
