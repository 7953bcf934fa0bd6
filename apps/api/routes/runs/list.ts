/** GET /v1/runs: newest first, in pages. */
import { createRoute } from '@hono/zod-openapi';
import { unknownPredictor } from '@tandem/freshness/errors';
import { PAGE_QUERY, UuidPageQuery } from '@tandem/wire/page';
import { RUN_EXAMPLE, RunPageSchema } from '@tandem/wire/runs';
import { jsonResponse } from '../../http/body.ts';
import type { Endpoint } from '../../http/endpoint.ts';
import { pageIn, pageOf } from '../../http/page-query.ts';
import { problems } from '../../http/problems.ts';
import type { RunDependencies } from './run-dependencies.ts';
import { isRunId, runView } from './run-view.ts';

export function listRuns({ runs, registry }: RunDependencies): Endpoint {
  return {
    route,
    scope: 'runs:read',
    produces: 'application/json',
    query: PAGE_QUERY,
    async handle(context) {
      const asked = pageIn(context, isRunId, 'the id of a run');
      const { limit, predictor } = asked;
      if (predictor !== undefined && !(await registry.predictor(predictor))) throw unknownPredictor(predictor);
      const found = await runs.list({ ...asked, limit: limit + 1 });
      const { page, next } = pageOf(found, limit, ({ id }) => id);
      return jsonResponse({ runs: page.map(runView), next });
    },
  };
}

const route = createRoute({
  operationId: 'listRuns',
  method: 'get',
  path: '/v1/runs',
  tags: ['runs'],
  summary: 'Runs, newest first',
  request: { query: UuidPageQuery },
  responses: {
    200: {
      description: 'A page',
      content: {
        'application/json': {
          schema: RunPageSchema,
          example: { runs: [RUN_EXAMPLE], next: null },
        },
      },
    },
    ...problems('unknown_predictor', 'invalid_input', 'unavailable'),
  },
});
