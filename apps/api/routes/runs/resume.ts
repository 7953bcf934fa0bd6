/** POST /v1/runs/{id}/resume: resumes a cancelled or failed run with the chunks that are not committed. */

import { defineEndpoint, withHeaders } from '@tandem/endpoints/define-endpoint';
import { locationHeader, RunPath } from '@tandem/wire/parameters';
import { RUN_EXAMPLE, RunSchema } from '@tandem/wire/runs';
import type { RouteDependencies } from '../../wiring/route-dependencies.ts';
import { hintWorker, requireRun, runView } from './run-view.ts';

export function resumeRun({ runs, ...rest }: RouteDependencies) {
  return defineEndpoint({
    operationId: 'resumeRun',
    method: 'post',
    path: '/v1/runs/{id}/resume',
    tag: 'runs',
    summary: 'Resume a cancelled or failed run',
    scope: 'runs:write',
    params: RunPath,
    answer: {
      status: 202,
      description: 'The run. It resumes with the chunks that are not committed',
      schema: RunSchema,
      example: { ...RUN_EXAMPLE, state: 'running' },
      headers: locationHeader(`/v1/runs/${RUN_EXAMPLE.id}`),
    },
    problems: ['unknown_run', 'run_conflict', 'unavailable'],
    async handle({ req }, event) {
      const { id } = await requireRun(runs, req.param('id') ?? '');
      const run = await runs.resume(id);
      event.add({ predictor: run.predictor, runId: id });
      await hintWorker(rest, id, event);
      return withHeaders(runView(run), { location: `/v1/runs/${id}` });
    },
  });
}
