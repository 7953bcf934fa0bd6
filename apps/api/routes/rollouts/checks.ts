/** GET /v1/rollouts/{id}/checks: what each look of the analysis found, and whether it moved anything. */
import { createRoute, z } from '@hono/zod-openapi';
import type { KeptCheck } from '@tandem/offline-store/rollouts/rollout-checks';
import { jsonResponse } from '../../http/body.ts';
import type { Endpoint } from '../../http/endpoint.ts';
import { limitOf, limitQuery } from '../../http/page-query.ts';
import { rolloutIdParameter } from '../../http/parameters.ts';
import { problems } from '../../http/problem-schema.ts';
import { JUDGEMENT_EXAMPLE, JudgementSchema, judgementView } from './judgement-schema.ts';
import type { RolloutDependencies } from './rollout-dependencies.ts';
import { requireRollout } from './rollout-view.ts';

export interface CheckDependencies extends Pick<RolloutDependencies, 'rollouts'> {
  /** Newest first. */
  listChecks(rolloutId: string, limit: number): Promise<readonly KeptCheck[]>;
}

const ChecksSchema = z.strictObject({
  checks: z.array(
    z
      .strictObject({
        at: z.iso.datetime(),
        step: z.int(),
        applied: z.boolean().meta({ description: 'Whether it moved the rollout' }),
        judgement: JudgementSchema,
      })
      .meta({ id: 'RolloutCheck' }),
  ),
});

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
    params: z.object({ id: rolloutIdParameter }),
    query: z.object({ limit: limitQuery }),
  },
  responses: {
    200: {
      description: 'Looks',
      content: {
        'application/json': {
          schema: ChecksSchema,
          example: {
            checks: [{ at: '2026-11-24T02:11:00.000Z', step: 1, applied: false, judgement: JUDGEMENT_EXAMPLE }],
          },
        },
      },
    },
    ...problems('unknown_rollout', 'invalid_input', 'unavailable'),
  },
});
