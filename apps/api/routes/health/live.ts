/** GET /livez: the process answers. It says nothing of the stores: restarting a process mends none of them. */
import { createRoute } from '@hono/zod-openapi';
import { LiveSchema } from '@tandem/wire/health';
import { jsonResponse } from '../../http/body.ts';
import type { Endpoint } from '../../http/endpoint.ts';
import { problems } from '../../http/problems.ts';

export function showLive(): Endpoint {
  return { route, scope: 'public', produces: 'application/json', handle: () => jsonResponse({ status: 'live' }) };
}

const route = createRoute({
  operationId: 'showLive',
  method: 'get',
  path: '/livez',
  tags: ['health'],
  summary: 'Whether the process answers',
  responses: {
    200: {
      description: 'It does',
      content: {
        'application/json': { schema: LiveSchema, example: { status: 'live' } },
      },
    },
    ...problems(),
  },
});
