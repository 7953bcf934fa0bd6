/** POST /v1/runs/{id}/cancel: drops waiting chunks; chunks in progress commit nothing more. */

import { defineEndpoint } from '@tandem/endpoints/define-endpoint';
import { RunPath } from '@tandem/wire/parameters';
import { RUN_EXAMPLE, RunSchema } from '@tandem/wire/runs';
import type { RouteDependencies } from '../../wiring/route-dependencies.ts';
import { requireRun, runView } from './run-view.ts';

export function cancelRun({ runs }: RouteDependencies) {
  return defineEndpoint({
    operationId: 'cancelRun',
    method: 'post',
    path: '/v1/runs/{id}/cancel',
    tag: 'runs',
    summary: 'Cancel a run',
    scope: 'runs:write',
    params: RunPath,
    answer: {
      description: 'The run. Waiting chunks are dropped, and running chunks commit nothing more',
      schema: RunSchema,
      example: { ...RUN_EXAMPLE, state: 'cancelled' },
    },
    problems: ['unknown_run', 'run_conflict', 'unavailable'],
    async handle({ req }, event) {
      const { id } = await requireRun(runs, req.param('id') ?? '');
      const run = await runs.cancel(id);
      event.add({ predictor: run.predictor, runId: id });

      return runView(run);
    },
  });
}
