/** GET /v1/users/{userId}/explanations/{predictor}: why this answer, now. */
import { createRoute } from '@hono/zod-openapi';
import { unknownPredictor } from '@tandem/freshness/errors';
import { userIdProblem } from '@tandem/freshness/user-id';
import { EXPLANATION_EXAMPLE, ExplanationSchema } from '@tandem/wire/explanations';
import { ExplanationPath } from '@tandem/wire/parameters';
import { jsonResponse } from '../../http/body.ts';
import type { Endpoint } from '../../http/endpoint.ts';
import { problems } from '../../http/problems.ts';
import { type ExplanationDependencies, explain } from './explain.ts';
import { explanationView } from './explanation-view.ts';

export function showExplanation(dependencies: ExplanationDependencies): Endpoint {
  return {
    route,
    scope: 'users:read',
    produces: 'application/json',
    async handle({ req }, event, caller) {
      const name = req.param('predictor') ?? '';
      const userId = req.param('userId') ?? '';
      const predictor = await dependencies.registry.predictor(name);
      if (!predictor) throw unknownPredictor(name);
      const refused = userIdProblem(predictor.keyType, userId, 'userId');
      if (refused) throw refused;
      event.add({ predictor: name });
      return jsonResponse(explanationView(await explain(dependencies, predictor, userId, caller.liveQuota)));
    },
  };
}

const route = createRoute({
  operationId: 'explainPrediction',
  method: 'get',
  path: '/v1/users/{userId}/explanations/{predictor}',
  tags: ['users'],
  summary: 'Why this answer, now',
  request: { params: ExplanationPath },
  responses: {
    200: {
      description: 'What is certified, stored and read, and what a read answers',
      content: { 'application/json': { schema: ExplanationSchema, example: EXPLANATION_EXAMPLE } },
    },
    ...problems('unknown_predictor', 'unknown_user', 'invalid_input', 'unavailable'),
  },
});
