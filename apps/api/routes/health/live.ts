/**
 * GET /livez: answers 200 while the process can answer. It does not check the stores, because restarting a process does
 * not fix a store.
 */

import { defineEndpoint } from '@tandem/endpoints/define-endpoint';
import { LiveSchema } from '@tandem/wire/health';

export function showLive() {
  return defineEndpoint({
    operationId: 'showLive',
    method: 'get',
    path: '/livez',
    tag: 'health',
    summary: 'Whether the process answers',
    scope: 'public',
    answer: { description: 'It does', schema: LiveSchema, example: { status: 'live' } },
    problems: [],
    handle: () => ({ status: 'live' as const }),
  });
}
