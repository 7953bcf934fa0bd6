/**
 * GET /metrics: metrics for Prometheus. The API's port serves them only on loopback; otherwise a separate port does.
 */

import { defineEndpoint } from '@tandem/endpoints/define-endpoint';
import { TextSchema } from '@tandem/wire/documents';
import type { RouteDependencies } from '../../wiring/route-dependencies.ts';

export function showMetrics({ metrics }: RouteDependencies) {
  return defineEndpoint({
    operationId: 'showMetrics',
    method: 'get',
    path: '/metrics',
    tag: 'health',
    summary: 'Metrics in the Prometheus text format',
    scope: 'public',
    answer: {
      type: 'text/plain',
      description: 'All series of this process',
      schema: TextSchema,
      example: '# TYPE tandem_predictions_total counter\n',
    },
    problems: [],
    async handle() {
      const headers = { 'content-type': metrics.contentType, 'cache-control': 'no-store' };
      return new Response(await metrics.exposition(), { headers });
    },
  });
}
