/** GET /readyz: whether to send requests here, and which part fails. */

import { jsonResponse } from '@tandem/endpoints/body';
import { defineEndpoint } from '@tandem/endpoints/define-endpoint';
import { ReadinessSchema } from '@tandem/wire/health';
import type { RouteDependencies } from '../../wiring/route-dependencies.ts';

export function showReady({ readiness }: Pick<RouteDependencies, 'readiness'>) {
  return defineEndpoint({
    operationId: 'showReady',
    method: 'get',
    path: '/readyz',
    tag: 'health',
    summary: 'Whether to send requests here',
    scope: 'public',
    answer: {
      description: '`degraded`: answers are correct but slower',
      schema: ReadinessSchema,
      example: {
        status: 'degraded',
        parts: [
          { name: 'postgres', status: 'ok' },
          { name: 'redis', status: 'failed' },
        ],
      },
    },
    otherAnswers: {
      503: {
        description: 'A required part fails, or the process is shutting down',
        content: {
          'application/json': {
            schema: ReadinessSchema,
            example: { status: 'not_ready', parts: [{ name: 'postgres', status: 'failed' }] },
          },
        },
      },
    },
    problems: [],
    async handle() {
      const found = await readiness.check();
      return found.status === 'not_ready' ? jsonResponse(found, 503) : found;
    },
  });
}
