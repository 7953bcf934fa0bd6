/** GET /livez: the process answers. It does not check the stores: restarting a process fixes none of them. */
import { LiveSchema } from '@tandem/wire/health';
import { jsonEndpoint } from '../../http/json-endpoint.ts';

export function showLive() {
  return jsonEndpoint({
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
