/** GET /v1/rollouts/{id}: the arms of a rollout, its state, and what it waits for. */

import { defineEndpoint } from '@tandem/endpoints/define-endpoint';
import { RolloutPath } from '@tandem/wire/parameters';
import { ROLLOUT_EXAMPLE, RolloutSchema } from '../wire/rollouts.ts';
import type { RolloutRoutes } from './rollout-routes.ts';
import { requireRollout, rolloutView } from './rollout-view.ts';

export function showRollout({ rollouts }: RolloutRoutes) {
  return defineEndpoint({
    operationId: 'showRollout',
    method: 'get',
    path: '/v1/rollouts/{id}',
    tag: 'rollouts',
    summary: 'One rollout',
    scope: 'models:read',
    params: RolloutPath,
    answer: { description: 'The rollout', schema: RolloutSchema, example: ROLLOUT_EXAMPLE },
    problems: ['unknown_rollout', 'unavailable'],
    async handle({ req }) {
      return rolloutView(await requireRollout(rollouts, req.param('id') ?? ''));
    },
  });
}
