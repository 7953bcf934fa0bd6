/** POST /v1/runs/{id}/cancel: chunks that wait are dropped, those under way commit nothing more. */
import { createRoute } from '@hono/zod-openapi';
import { RunPath } from '@tandem/wire/parameters';
import { RUN_EXAMPLE, RunSchema } from '@tandem/wire/runs';
import { jsonResponse } from '../../http/body.ts';
import type { Endpoint } from '../../http/endpoint.ts';
import { problems } from '../../http/problems.ts';

import type { RunDependencies } from './run-dependencies.ts';
import { requireRun, runView } from './run-view.ts';

export function cancelRun({ runs }: RunDependencies): Endpoint {
  return {
    route,
    scope: 'runs:write',
    produces: 'application/json',
    async handle({ req }, event) {
      const { id } = await requireRun(runs, req.param('id') ?? '');
      const run = await runs.cancel(id);
      event.add({ predictor: run.predictor, runId: id });

      return jsonResponse(runView(run));
    },
  };
}

const route = createRoute({
  operationId: 'cancelRun',
  method: 'post',
  path: '/v1/runs/{id}/cancel',
  tags: ['runs'],
  summary: 'Stop a run',
  request: { params: RunPath },
  responses: {
    200: {
      description: 'The run; chunks that wait are dropped, those under way commit nothing more',
      content: { 'application/json': { schema: RunSchema, example: { ...RUN_EXAMPLE, state: 'cancelled' } } },
    },
    ...problems('unknown_run', 'run_conflict', 'unavailable'),
  },
});
