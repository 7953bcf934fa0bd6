/**
 * GET /metrics: metrics for Prometheus. The API's port serves them only on loopback; otherwise a separate port does.
 */
import { createRoute } from '@hono/zod-openapi';
import { TextSchema } from '@tandem/wire/documents';
import { problems } from '../../http/describe-problems.ts';
import type { Endpoint } from '../../http/endpoint.ts';
import type { RouteDependencies } from '../../wiring/route-dependencies.ts';

export function showMetrics({ metrics }: RouteDependencies): Endpoint {
  return {
    route,
    scope: 'public',
    produces: 'text/plain',
    async handle() {
      const headers = { 'content-type': metrics.contentType, 'cache-control': 'no-store' };
      return new Response(await metrics.exposition(), { headers });
    },
  };
}

const route = createRoute({
  operationId: 'showMetrics',
  method: 'get',
  path: '/metrics',
  tags: ['health'],
  summary: 'Metrics in the Prometheus text format',
  responses: {
    200: {
      description: 'All series of this process',
      content: { 'text/plain': { schema: TextSchema, example: '# TYPE tandem_predictions_total counter\n' } },
    },
    ...problems(),
  },
});
