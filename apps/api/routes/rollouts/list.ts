/** GET /v1/rollouts: newest first, in pages. */
import { createRoute } from '@hono/zod-openapi';
import { unknownPredictor } from '@tandem/freshness/errors';
import { PAGE_QUERY, UuidPageQuery } from '@tandem/wire/page';
import { ROLLOUT_EXAMPLE, RolloutPageSchema } from '@tandem/wire/rollouts';
import { jsonResponse } from '../../http/body.ts';
import type { Endpoint } from '../../http/endpoint.ts';
import { pageIn, pageOf } from '../../http/page-query.ts';
import { problems } from '../../http/problems.ts';
import type { RolloutDependencies } from './rollout-dependencies.ts';
import { isRolloutId, rolloutView } from './rollout-view.ts';

export function listRollouts({ rollouts, registry }: RolloutDependencies): Endpoint {
  return {
    route,
    scope: 'models:read',
    produces: 'application/json',
    query: PAGE_QUERY,
    async handle(context) {
      const asked = pageIn(context, isRolloutId, 'the id of a rollout');
      const { limit, predictor } = asked;
      if (predictor !== undefined && !(await registry.predictor(predictor))) throw unknownPredictor(predictor);
      const found = await rollouts.list({ ...asked, limit: limit + 1 });
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
  request: { query: UuidPageQuery },
  responses: {
    200: {
      description: 'A page',
      content: {
        'application/json': {
          schema: RolloutPageSchema,
          example: { rollouts: [ROLLOUT_EXAMPLE], next: null },
        },
      },
    },
    ...problems('unknown_predictor', 'unknown_rollout', 'invalid_input', 'unavailable'),
  },
});
