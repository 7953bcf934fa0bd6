/** GET /v1/runs: newest first, in pages. */
import { createRoute, z } from '@hono/zod-openapi';
import { TandemError } from '@tandem/prediction/errors';
import { unknownPredictor } from '@tandem/prediction/read/read-errors';
import type { Endpoint } from '../../endpoint.ts';
import { jsonResponse } from '../../http/json-response.ts';
import { problems } from '../../problem-schema.ts';
import type { RunDependencies } from './run-dependencies.ts';
import { isRunId, RUN_EXAMPLE, RunSchema, runView } from './run-view.ts';

const DEFAULT_LIMIT = 20;
const MAX_LIMIT = 100;

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
        throw refuse('before', 'not the id of a run', "send the page's `next`");
      if (predictor !== undefined && !(await registry.predictor(predictor))) throw unknownPredictor(predictor);
      // One more than asked tells whether there is a next page.
      const found = await runs.list({
        limit: limit + 1,
        ...(before === undefined ? {} : { before }),
        ...(predictor === undefined ? {} : { predictor }),
      });
      const page = found.slice(0, limit);
      return jsonResponse({ runs: page.map(runView), next: found.length > limit ? (page.at(-1)?.id ?? null) : null });
    },
  };
}

function limitOf(text: string | undefined): number {
  if (text === undefined) return DEFAULT_LIMIT;
  const limit = /^[1-9][0-9]{0,3}$/.test(text) ? Number(text) : 0;
  if (limit >= 1 && limit <= MAX_LIMIT) return limit;
  throw refuse('limit', `not a whole number from 1 to ${MAX_LIMIT}`, `send 1 to ${MAX_LIMIT}`);
}

function refuse(field: string, problem: string, remedy: string): TandemError {
  return new TandemError('invalid_input', `${field}: ${problem}.`, { field, remedy });
}

const route = createRoute({
  operationId: 'listRuns',
  method: 'get',
  path: '/v1/runs',
  tags: ['runs'],
  summary: 'Runs, newest first',
  request: {
    query: z.object({
      limit: z.int().min(1).max(MAX_LIMIT).default(DEFAULT_LIMIT).optional(),
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
