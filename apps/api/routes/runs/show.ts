/** GET /v1/runs/{id}: a run, with the users that it could not score. */
import { createRoute } from '@hono/zod-openapi';
import { RunPath } from '@tandem/wire/parameters';
import { RUN_EXAMPLE, RunDetailSchema } from '@tandem/wire/runs';
import { jsonResponse } from '../../http/body.ts';
import type { Endpoint } from '../../http/endpoint.ts';
import { problems } from '../../http/problems.ts';
import type { RunDependencies } from './run-dependencies.ts';
import { requireRun, runView } from './run-view.ts';

const MAX_FAILURES = 1_000;

export function showRun({ runs }: RunDependencies): Endpoint {
  return {
    route,
    scope: 'runs:read',
    produces: 'application/json',
    async handle({ req }) {
      const run = await requireRun(runs, req.param('id') ?? '');
      const failures = run.usersFailed === 0 ? [] : await runs.failures(run.id, MAX_FAILURES);
      return jsonResponse({ ...runView(run), failures });
    },
  };
}

const route = createRoute({
  operationId: 'showRun',
  method: 'get',
  path: '/v1/runs/{id}',
  tags: ['runs'],
  summary: 'One run',
  request: { params: RunPath },
  responses: {
    200: {
      description: `The run, and the first ${MAX_FAILURES} users that it could not score`,
      content: {
        'application/json': {
          schema: RunDetailSchema,
          example: {
            ...RUN_EXAMPLE,
            state: 'done_with_errors',
            usersFailed: 1,
            failures: [{ userId: '43', reason: 'feature recency is null' }],
          },
        },
      },
    },
    ...problems('unknown_run', 'unavailable'),
  },
});
