/** GET /v1/rollouts: the rollouts, newest first, in pages. */

import { defineEndpoint } from '@tandem/endpoints/define-endpoint';
import { pageIn, pageOf } from '@tandem/endpoints/page-query';
import { requirePredictor } from '@tandem/endpoints/require-predictor';
import { isUuid } from '@tandem/freshness/user-id';
import { UuidPageQuery } from '@tandem/wire/page';
import { ROLLOUT_EXAMPLE, RolloutPageSchema } from '../wire/rollouts.ts';
import type { RolloutRoutes } from './rollout-routes.ts';
import { rolloutView } from './rollout-view.ts';

export function listRollouts({ rollouts, registry }: RolloutRoutes) {
  return defineEndpoint({
    operationId: 'listRollouts',
    method: 'get',
    path: '/v1/rollouts',
    tag: 'rollouts',
    summary: 'Rollouts, newest first',
    scope: 'models:read',
    query: UuidPageQuery,
    answer: { description: 'A page', schema: RolloutPageSchema, example: { rollouts: [ROLLOUT_EXAMPLE], next: null } },
    problems: ['unknown_predictor', 'unknown_rollout', 'invalid_input', 'unavailable'],
    async handle(context) {
      const asked = pageIn(context, isUuid, 'the id of a rollout');
      if (asked.predictor !== undefined) await requirePredictor(registry, asked.predictor);
      const { page, next } = await pageOf(asked, rollouts.list, ({ id }) => id);
      return { rollouts: page.map(rolloutView), next };
    },
  });
}
