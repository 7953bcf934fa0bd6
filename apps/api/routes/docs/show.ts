/** GET /docs: the documentation page. */
import { createRoute } from '@hono/zod-openapi';
import { TextSchema } from '@tandem/wire/documents';
import { problems } from '../../http/describe-problems.ts';
import type { Endpoint } from '../../http/endpoint.ts';

/**
 * Returns the endpoint of the documentation page.
 * @param html returns the page
 */
export function showDocs(html: () => string): Endpoint {
  return {
    route,
    scope: 'public',
    produces: 'text/html',
    handle: () =>
      new Response(html(), {
        headers: {
          'content-type': 'text/html; charset=utf-8',
          'cache-control': 'public, max-age=60',
          'content-security-policy': "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'",
          'x-content-type-options': 'nosniff',
        },
      }),
  };
}

const route = createRoute({
  operationId: 'showDocs',
  method: 'get',
  path: '/docs',
  tags: ['documentation'],
  summary: 'The documentation page',
  responses: { 200: { description: 'HTML', content: { 'text/html': { schema: TextSchema } } }, ...problems() },
});
