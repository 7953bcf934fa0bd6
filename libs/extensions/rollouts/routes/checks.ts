/** GET /v1/rollouts/{id}/checks: the findings of each look of the analysis, and whether it moved the rollout. */

import { defineEndpoint } from '@tandem/endpoints/define-endpoint';
import { limitOf } from '@tandem/endpoints/page-query';
import { LimitQuery } from '@tandem/wire/page';
import { RolloutPath } from '@tandem/wire/parameters';
import { JUDGEMENT_EXAMPLE, RolloutChecksSchema } from '../wire/rollout-report.ts';
import { judgementView } from './report.ts';
import type { RolloutRoutes } from './rollout-routes.ts';
import { requireRollout } from './rollout-view.ts';

export function listRolloutChecks({ rollouts, listChecks }: RolloutRoutes) {
  return defineEndpoint({
    operationId: 'listRolloutChecks',
    method: 'get',
    path: '/v1/rollouts/{id}/checks',
    tag: 'rollouts',
    summary: 'Findings of the analysis, newest first',
    scope: 'models:read',
    params: RolloutPath,
    query: LimitQuery,
    answer: {
      description: 'Looks',
      schema: RolloutChecksSchema,
      example: {
        checks: [{ at: '2026-11-24T02:11:00.000Z', step: 1, applied: false, judgement: JUDGEMENT_EXAMPLE }],
      },
    },
    problems: ['unknown_rollout', 'invalid_input', 'unavailable'],
    async handle({ req }) {
      const limit = limitOf(req.query('limit'));
      const { id } = await requireRollout(rollouts, req.param('id') ?? '');
      const checks = await listChecks(id, limit);
      return {
        checks: checks.map(({ at, step, applied, judgement }) => ({
          at: at.toISOString(),
          step,
          applied,
          judgement: judgementView(judgement),
        })),
      };
    },
  });
}
