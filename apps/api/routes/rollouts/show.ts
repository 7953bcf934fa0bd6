/** GET /v1/rollouts/{id}: who is served what by it, and what it waits for. */
import { createRoute } from '@hono/zod-openapi';
import { RolloutPath } from '@tandem/wire/parameters';
import { ROLLOUT_EXAMPLE, RolloutSchema } from '@tandem/wire/rollouts';
import { jsonResponse } from '../../http/body.ts';
import type { Endpoint } from '../../http/endpoint.ts';
import { problems } from '../../http/problems.ts';
import type { RolloutDependencies } from './rollout-dependencies.ts';
import { requireRollout, rolloutView } from './rollout-view.ts';

export function showRollout({ rollouts }: RolloutDependencies): Endpoint {
  return {
    route,
    scope: 'models:read',
    produces: 'application/json',
    async handle({ req }) {
      return jsonResponse(rolloutView(await requireRollout(rollouts, req.param('id') ?? '')));
    },
  };
}

const route = createRoute({
  operationId: 'showRollout',
  method: 'get',
  path: '/v1/rollouts/{id}',
  tags: ['rollouts'],
  summary: 'One rollout',
  request: { params: RolloutPath },
  responses: {
    200: {
      description: 'The rollout',
      content: { 'application/json': { schema: RolloutSchema, example: ROLLOUT_EXAMPLE } },
    },
    ...problems('unknown_rollout', 'unavailable'),
  },
});
