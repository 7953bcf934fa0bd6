/** GET /v1/rollouts/{id}/checks: what each look of the analysis found, and whether it moved anything. */
import { createRoute } from '@hono/zod-openapi';
import type { KeptCheck } from '@tandem/offline-store/rollouts/rollout-checks';
import { LimitQuery } from '@tandem/wire/page';
import { RolloutPath } from '@tandem/wire/parameters';
import { JUDGEMENT_EXAMPLE, RolloutChecksSchema } from '@tandem/wire/rollout-report';
import { jsonResponse } from '../../http/body.ts';
import type { Endpoint } from '../../http/endpoint.ts';
import { limitOf } from '../../http/page-query.ts';
import { problems } from '../../http/problems.ts';
import { judgementView } from './report-view.ts';
import type { RolloutDependencies } from './rollout-dependencies.ts';
import { requireRollout } from './rollout-view.ts';

export interface CheckDependencies extends Pick<RolloutDependencies, 'rollouts'> {
  /** Newest first. */
  listChecks(rolloutId: string, limit: number): Promise<readonly KeptCheck[]>;
}

export function listRolloutChecks({ rollouts, listChecks }: CheckDependencies): Endpoint {
  return {
    route,
    scope: 'models:read',
    produces: 'application/json',
    query: ['limit'],
    async handle({ req }) {
      const limit = limitOf(req.query('limit'));
      const { id } = await requireRollout(rollouts, req.param('id') ?? '');
      const checks = await listChecks(id, limit);
      return jsonResponse({
        checks: checks.map(({ at, step, applied, judgement }) => ({
          at: at.toISOString(),
          step,
          applied,
          judgement: judgementView(judgement),
        })),
      });
    },
  };
}

const route = createRoute({
  operationId: 'listRolloutChecks',
  method: 'get',
  path: '/v1/rollouts/{id}/checks',
  tags: ['rollouts'],
  summary: 'What the analysis found, newest first',
  request: {
    params: RolloutPath,
    query: LimitQuery,
  },
  responses: {
    200: {
      description: 'Looks',
      content: {
        'application/json': {
          schema: RolloutChecksSchema,
          example: {
            checks: [{ at: '2026-11-24T02:11:00.000Z', step: 1, applied: false, judgement: JUDGEMENT_EXAMPLE }],
          },
        },
      },
    },
    ...problems('unknown_rollout', 'invalid_input', 'unavailable'),
  },
});
