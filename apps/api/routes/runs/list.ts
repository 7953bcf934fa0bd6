/** GET /v1/runs: the runs, newest first, in pages. */

import { defineEndpoint } from '@tandem/endpoints/define-endpoint';
import { pageIn, pageOf } from '@tandem/endpoints/page-query';
import { requirePredictor } from '@tandem/endpoints/require-predictor';
import { isUuid } from '@tandem/freshness/user-id';
import { UuidPageQuery } from '@tandem/wire/page';
import { RUN_EXAMPLE, RunPageSchema } from '@tandem/wire/runs';
import type { RouteDependencies } from '../../wiring/route-dependencies.ts';
import { runView } from './run-view.ts';

export function listRuns({ runs, registry }: RouteDependencies) {
  return defineEndpoint({
    operationId: 'listRuns',
    method: 'get',
    path: '/v1/runs',
    tag: 'runs',
    summary: 'Runs, newest first',
    scope: 'runs:read',
    query: UuidPageQuery,
    answer: { description: 'A page', schema: RunPageSchema, example: { runs: [RUN_EXAMPLE], next: null } },
    problems: ['unknown_predictor', 'invalid_input', 'unavailable'],
    async handle(context) {
      const asked = pageIn(context, isUuid, 'the id of a run');
      if (asked.predictor !== undefined) await requirePredictor(registry, asked.predictor);
      const { page, next } = await pageOf(asked, runs.list, ({ id }) => id);
      return { runs: page.map(runView), next };
    },
  });
}
