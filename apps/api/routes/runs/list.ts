/** GET /v1/runs: newest first, in pages. */
import { createRoute, z } from '@hono/zod-openapi';
import { unknownPredictor } from '@tandem/prediction/read/read-errors';
import type { Endpoint } from '../../endpoint.ts';
import { jsonResponse } from '../../http/json-response.ts';
import { LIMIT_DEFAULT, limitOf, MAX_LIMIT, pageOf, queryProblem } from '../../http/page-query.ts';
import { problems } from '../../problem-schema.ts';
import type { RunDependencies } from './run-dependencies.ts';
import { isRunId, RUN_EXAMPLE, RunSchema, runView } from './run-view.ts';

export function listRuns({ runs, registry }: RunDependencies): Endpoint {
  return {
    route,
    scope: 'runs:read',
    produces: 'application/json',
    query: ['limit', 'before', 'predictor'],
    async handle({ req }) {
      const limit = limitOf(req.query('limit'));
      const before = req.query('before');
      const predictor = req.query('predictor');
      if (before !== undefined && !isRunId(before))
        throw queryProblem('before', 'not the id of a run', "send the page's `next`");
      if (predictor !== undefined && !(await registry.predictor(predictor))) throw unknownPredictor(predictor);
      const found = await runs.list({
        limit: limit + 1,
        ...(before === undefined ? {} : { before }),
        ...(predictor === undefined ? {} : { predictor }),
      });
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
  request: {
    query: z.object({
      limit: z.int().min(1).max(MAX_LIMIT).default(LIMIT_DEFAULT).optional(),
      before: z.uuid().optional().openapi({ description: '`next` of the page before' }),
      predictor: z.string().optional().openapi({ example: 'repurchase' }),
    }),
  },
  responses: {
    200: {
      description: 'A page',
      content: {
        'application/json': {
          schema: z.strictObject({ runs: z.array(RunSchema), next: z.uuid().nullable() }),
          example: { runs: [RUN_EXAMPLE], next: null },
        },
      },
    },
    ...problems('unknown_predictor', 'invalid_input', 'unavailable'),
  },
});
