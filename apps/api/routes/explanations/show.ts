/** GET /v1/users/{userId}/explanations/{predictor}: explains the answer that the user gets now. */
import { unknownPredictor } from '@tandem/freshness/errors';
import { userIdProblem } from '@tandem/freshness/user-id';
import { EXPLANATION_EXAMPLE, ExplanationSchema } from '@tandem/wire/explanations';
import { ExplanationPath } from '@tandem/wire/parameters';
import { jsonEndpoint } from '../../http/json-endpoint.ts';
import { type ExplanationDependencies, explain } from './explain.ts';
import { explanationView } from './explanation-view.ts';

export function showExplanation(dependencies: ExplanationDependencies) {
  return jsonEndpoint({
    operationId: 'explainPrediction',
    method: 'get',
    path: '/v1/users/{userId}/explanations/{predictor}',
    tag: 'users',
    summary: 'Explain the current answer of a user',
    scope: 'users:read',
    params: ExplanationPath,
    answer: {
      description: 'The certificate, stored predictions and features, and the answer of a read',
      schema: ExplanationSchema,
      example: EXPLANATION_EXAMPLE,
    },
    problems: ['unknown_predictor', 'unknown_user', 'invalid_input', 'unavailable'],
    async handle({ req }, event, caller) {
      const name = req.param('predictor') ?? '';
      const userId = req.param('userId') ?? '';
      const predictor = await dependencies.registry.predictor(name);
      if (!predictor) throw unknownPredictor(name);
      const refused = userIdProblem(predictor.keyType, userId, 'userId');
      if (refused) throw refused;
      event.add({ predictor: name });
      return explanationView(await explain(dependencies, predictor, userId, caller.liveQuota));
    },
  });
}
