/** GET /v1/rollouts: newest first, in pages. */
import { createRoute, z } from '@hono/zod-openapi';
import { unknownPredictor } from '@tandem/prediction/read/read-errors';
import type { Endpoint } from '../../endpoint.ts';
import { jsonResponse } from '../../http/json-response.ts';
import { LIMIT_DEFAULT, limitOf, MAX_LIMIT, pageOf, queryProblem } from '../../http/page-query.ts';
import { problems } from '../../problem-schema.ts';
import type { RolloutDependencies } from './rollout-dependencies.ts';
import { isRolloutId, ROLLOUT_EXAMPLE, RolloutSchema, rolloutView } from './rollout-view.ts';

export function listRollouts({ rollouts, registry }: RolloutDependencies): Endpoint {
  return {
    route,
    scope: 'models:read',
    produces: 'application/json',
    query: ['limit', 'before', 'predictor'],
    async handle({ req }) {
      const limit = limitOf(req.query('limit'));
      const before = req.query('before');
      const predictor = req.query('predictor');
      if (before !== undefined && !isRolloutId(before)) {
        throw queryProblem('before', 'not the id of a rollout', "send the page's `next`");
      }
      if (predictor !== undefined && !(await registry.predictor(predictor))) throw unknownPredictor(predictor);
      const found = await rollouts.list({
        limit: limit + 1,
        ...(before === undefined ? {} : { before }),
        ...(predictor === undefined ? {} : { predictor }),
      });
      const { page, next } = pageOf(found, limit, ({ id }) => id);
      return jsonResponse({ rollouts: page.map(rolloutView), next });
    },
  };
}

const route = createRoute({
  operationId: 'listRollouts',
  method: 'get',
  path: '/v1/rollouts',
  tags: ['rollouts'],
  summary: 'Rollouts, newest first',
  request: {
    query: z.object({
      limit: z.int().min(1).max(MAX_LIMIT).default(LIMIT_DEFAULT).optional(),
      before: z.uuid().optional().openapi({ description: '`next` of the page before' }),
      predictor: z.string().optional().openapi({ example: 'repurchase' }),
    }),
  },
  responses: {
    200: {
      description: 'A page',
      content: {
        'application/json': {
          schema: z.strictObject({ rollouts: z.array(RolloutSchema), next: z.uuid().nullable() }),
          example: { rollouts: [ROLLOUT_EXAMPLE], next: null },
        },
      },
    },
    ...problems('unknown_predictor', 'unknown_rollout', 'invalid_input', 'unavailable'),
  },
});
