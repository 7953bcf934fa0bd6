/** GET /readyz: whether to send requests here, and which part fails. */
import { createRoute } from '@hono/zod-openapi';
import { ReadinessSchema } from '@tandem/wire/health';
import type { Answered } from '@tandem/wire/schema';
import { jsonResponse } from '../../http/body.ts';
import { problems } from '../../http/describe-problems.ts';
import type { Endpoint } from '../../http/endpoint.ts';
import type { RouteDependencies } from '../../wiring/route-dependencies.ts';

export function showReady({ readiness }: RouteDependencies): Endpoint {
  return {
    route,
    scope: 'public',
    produces: 'application/json',
    async handle() {
      const found: Answered<typeof ReadinessSchema> = await readiness.check();
      return jsonResponse(found, found.status === 'not_ready' ? 503 : 200);
    },
  };
}

const route = createRoute({
  operationId: 'showReady',
  method: 'get',
  path: '/readyz',
  tags: ['health'],
  summary: 'Whether to send requests here',
  responses: {
    200: {
      description: '`degraded`: answers are correct but slower',
      content: {
        'application/json': {
          schema: ReadinessSchema,
          example: {
            status: 'degraded',
            parts: [
              { name: 'postgres', status: 'ok' },
              { name: 'redis', status: 'failed' },
            ],
          },
        },
      },
    },
    503: {
      description: 'A required part fails, or the process is shutting down',
      content: {
        'application/json': {
          schema: ReadinessSchema,
          example: { status: 'not_ready', parts: [{ name: 'postgres', status: 'failed' }] },
        },
      },
    },
    ...problems(),
  },
});
