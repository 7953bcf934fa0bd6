/**
 * POST /v1/users/{userId}/explanations/{predictor}: answers a user as a read does, and keeps the answer with its
 * inputs. A key sees no more here than with `GET` of the same path. If the predictor keeps no explanations, this
 * request keeps none either.
 */

import { checkNoBody } from '@tandem/endpoints/body';
import { defineEndpoint, withHeaders } from '@tandem/endpoints/define-endpoint';
import { LIVE_PROBLEMS } from '@tandem/endpoints/describe-problems';
import { requirePredictor } from '@tandem/endpoints/require-predictor';
import { notFound, TandemError } from '@tandem/freshness/errors';
import type { Predictor } from '@tandem/freshness/predictor';
import { PLAIN_READ } from '@tandem/freshness/read-options';
import { userIdProblem } from '@tandem/freshness/user-id';
import { KEPT_EXPLANATION_EXAMPLE, KeptExplanationSchema } from '@tandem/wire/kept-explanations';
import { ExplanationPath, locationHeader } from '@tandem/wire/parameters';
import type { RouteDependencies } from '../../wiring/route-dependencies.ts';
import { keptView, requireKept } from './kept-view.ts';

export function keepExplanation({ registry, readPrediction, explanationKeeper, explanations }: RouteDependencies) {
  return defineEndpoint({
    operationId: 'keepExplanation',
    method: 'post',
    path: '/v1/users/{userId}/explanations/{predictor}',
    tag: 'users',
    summary: 'Answer a user and keep the explanation',
    description:
      'Answers as a plain read does, and keeps the answer for the time that the predictor declares, even if the user is not sampled.',
    scope: 'users:read',
    params: ExplanationPath,
    answer: {
      status: 201,
      description: 'The answer and the inputs of its model',
      schema: KeptExplanationSchema,
      example: KEPT_EXPLANATION_EXAMPLE,
      headers: locationHeader(`/v1/explanations/${KEPT_EXPLANATION_EXAMPLE.id}`),
    },
    problems: ['unknown_predictor', 'unknown_user', 'invalid_input', ...LIVE_PROBLEMS, 'request_features_required'],
    async handle({ req }, event, { liveQuota }) {
      checkNoBody(req);
      const predictor = await requirePredictor(registry, req.param('predictor'));
      const [{ name }, userId] = [predictor, req.param('userId') ?? ''];
      const refused = userIdProblem(predictor.keyType, userId, 'userId') ?? keepsNone(predictor);
      if (refused) throw refused;
      event.add({ predictor: name });
      const [result] = await readPrediction(name, [userId], liveQuota ? { ...PLAIN_READ, liveQuota } : PLAIN_READ);
      if (result === undefined || result instanceof TandemError) throw result ?? notFound(userId);
      const id = await explanationKeeper.keepNow(result, predictor.policy.explanations?.keepForMs ?? 0);
      if (id === undefined) throw notFound(userId);
      const location = `/v1/explanations/${id}`;
      return withHeaders(keptView(await requireKept(explanations, id)), { location });
    },
  });
}

function keepsNone({ name, policy }: Predictor): TandemError | undefined {
  if (policy.explanations) return undefined;
  return new TandemError(
    'invalid_input',
    `The config of predictor ${name} has no setting explanations, so none can be kept.`,
    {
      field: 'predictor',
      remedy: "add explanations: { share: 0.01, keepFor: '7d' } to the predictor's config, and adopt the config",
    },
  );
}
