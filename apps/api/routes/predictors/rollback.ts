/** POST /v1/predictors/{predictor}/rollback: an older generation is in force again on the next read, nothing recomputed. */
import { createRoute, z } from '@hono/zod-openapi';
import { unknownPredictor } from '@tandem/freshness/errors';
import { jsonResponse, parseBody } from '../../http/body.ts';
import type { Endpoint } from '../../http/endpoint.ts';
import { predictorParameter } from '../../http/parameters.ts';
import { problems } from '../../http/problem-schema.ts';
import { GENERATION_EXAMPLE, GenerationSchema, generationView } from './generation-view.ts';
import type { GenerationDependencies } from './list-generations.ts';

const RequestSchema = z
  .strictObject({
    to: z
      .string("a generation's number, as text")
      .regex(/^[1-9][0-9]{0,8}$/, "a generation's number, as text")
      .optional()
      .meta({
        description: 'Default: the last generation that the stable arm served before the current one',
        example: '16',
      }),
    force: z
      .boolean()
      .default(false)
      .meta({ description: 'Whether the generation may be of a model version that has never been stable' }),
  })
  .meta({ id: 'Rollback' });

const BODY = { schema: RequestSchema, example: { to: '16' }, optional: true };

export function rollBack({ generations, registry }: GenerationDependencies): Endpoint {
  return {
    route,
    scope: 'rollouts:admin',
    produces: 'application/json',
    async handle(context, event, caller) {
      const name = context.req.param('predictor') ?? '';
      const { to, force } = await parseBody(context, BODY);
      if (!(await registry.predictor(name))) throw unknownPredictor(name);
      const moved = await generations.rollBack({
        predictor: name,
        to: to === undefined ? null : Number(to),
        force,
        actor: caller.actor,
      });
      event.add({ predictor: name, from: moved.from?.number ?? null, to: moved.to.number });
      return jsonResponse({ from: moved.from && generationView(moved.from), to: generationView(moved.to) });
    },
  };
}

const route = createRoute({
  operationId: 'rollBack',
  method: 'post',
  path: '/v1/predictors/{predictor}/rollback',
  tags: ['predictors'],
  summary: 'Return to an older generation',
  request: {
    params: z.object({ predictor: predictorParameter }),
    body: { required: false, content: { 'application/json': { schema: RequestSchema } } },
  },
  responses: {
    200: {
      description: 'In force from the next read on',
      content: {
        'application/json': {
          schema: z.strictObject({ from: z.union([GenerationSchema, z.null()]), to: GenerationSchema }),
          example: {
            from: { ...GENERATION_EXAMPLE, inForce: false },
            to: { ...GENERATION_EXAMPLE, generation: '16', runId: '0199b0ae-1c22-7d04-8a51-7f2b5d1c9e02' },
          },
        },
      },
    },
    ...problems(
      'unknown_predictor',
      'unknown_generation',
      'rollout_conflict',
      'never_stable',
      'version_archived',
      'body_too_large',
      'unsupported_media_type',
      'invalid_input',
      'unavailable',
    ),
  },
});
