/** GET /docs: the documentation page. */

import { defineEndpoint } from '@tandem/endpoints/define-endpoint';
import { TextSchema } from '@tandem/wire/documents';

/**
 * Returns the endpoint of the documentation page.
 * @param html returns the page
 */
export function showDocs(html: () => string) {
  return defineEndpoint({
    operationId: 'showDocs',
    method: 'get',
    path: '/docs',
    tag: 'documentation',
    summary: 'The documentation page',
    scope: 'public',
    answer: { type: 'text/html', description: 'HTML', schema: TextSchema },
    problems: [],
    handle: () =>
      new Response(html(), {
        headers: {
          'content-type': 'text/html; charset=utf-8',
          'cache-control': 'public, max-age=60',
          'content-security-policy': "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'",
          'x-content-type-options': 'nosniff',
        },
      }),
  });
}
