/** GET /v1/runs/{id}: a run and the users that it could not score. */

import { defineEndpoint } from '@tandem/endpoints/define-endpoint';
import { RunPath } from '@tandem/wire/parameters';
import { RUN_EXAMPLE, RunDetailSchema } from '@tandem/wire/runs';
import type { RouteDependencies } from '../../wiring/route-dependencies.ts';
import { requireRun, runView } from './run-view.ts';

const MAX_FAILURES = 1_000;

export function showRun({ runs }: RouteDependencies) {
  return defineEndpoint({
    operationId: 'showRun',
    method: 'get',
    path: '/v1/runs/{id}',
    tag: 'runs',
    summary: 'One run',
    scope: 'runs:read',
    params: RunPath,
    answer: {
      description: `The run, and the first ${MAX_FAILURES} users that it could not score`,
      schema: RunDetailSchema,
      example: {
        ...RUN_EXAMPLE,
        state: 'done_with_errors',
        usersFailed: 1,
        failures: [{ userId: '43', reason: 'feature recency is null' }],
      },
    },
    problems: ['unknown_run', 'unavailable'],
    async handle({ req }) {
      const run = await requireRun(runs, req.param('id') ?? '');
      const failures = run.usersFailed === 0 ? [] : await runs.failures(run.id, MAX_FAILURES);
      return { ...runView(run), failures };
    },
  });
}
