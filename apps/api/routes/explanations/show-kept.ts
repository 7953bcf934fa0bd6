/** GET /v1/explanations/{id}: an answer that was kept, and what it was made of. */
import { createRoute } from '@hono/zod-openapi';
import type { ExplanationStore } from '@tandem/prediction/explanations/kept-explanation';
import { KEPT_EXPLANATION_EXAMPLE, KeptExplanationSchema } from '@tandem/wire/kept-explanations';
import { KeptExplanationPath } from '@tandem/wire/parameters';
import { jsonResponse } from '../../http/body.ts';
import type { Endpoint } from '../../http/endpoint.ts';
import { problems } from '../../http/problems.ts';
import { keptView, requireKept } from './kept-view.ts';

export interface ShowKeptDependencies {
  readonly explanations: Pick<ExplanationStore, 'find'>;
}

export function showKeptExplanation({ explanations }: ShowKeptDependencies): Endpoint {
  return {
    route,
    scope: 'users:read',
    produces: 'application/json',
    async handle({ req }) {
      return jsonResponse(keptView(await requireKept(explanations, req.param('id') ?? '')));
    },
  };
}

const route = createRoute({
  operationId: 'showKeptExplanation',
  method: 'get',
  path: '/v1/explanations/{id}',
  tags: ['users'],
  summary: 'An answer that was kept',
  request: { params: KeptExplanationPath },
  responses: {
    200: {
      description: 'The answer as it was served, and what its model was given',
      content: { 'application/json': { schema: KeptExplanationSchema, example: KEPT_EXPLANATION_EXAMPLE } },
    },
    ...problems('unknown_explanation', 'unavailable'),
  },
});
