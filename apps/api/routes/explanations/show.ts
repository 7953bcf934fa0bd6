/** GET /v1/users/{userId}/explanations/{predictor}: explains the answer that the user gets now. */

import { predictionView } from '@tandem/embedded/prediction-view';
import { cacheStatus } from '@tandem/endpoints/caching';
import { defineEndpoint } from '@tandem/endpoints/define-endpoint';
import { toProblem } from '@tandem/endpoints/problem';
import { requirePredictor } from '@tandem/endpoints/require-predictor';
import { TandemError } from '@tandem/freshness/errors';
import { userIdProblem } from '@tandem/freshness/user-id';
import { EXPLANATION_EXAMPLE, ExplanationSchema, type ExplanationView } from '@tandem/wire/explanations';
import { ExplanationPath } from '@tandem/wire/parameters';
import { candidatesView } from '../users/find-candidates.ts';
import { type ExplainedFeature, type Explanation, type ExplanationDependencies, explain } from './explain.ts';

export function showExplanation(dependencies: ExplanationDependencies) {
  return defineEndpoint({
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
      const userId = req.param('userId') ?? '';
      const predictor = await requirePredictor(dependencies.registry, req.param('predictor'));
      const refused = userIdProblem(predictor.keyType, userId, 'userId');
      if (refused) throw refused;
      event.add({ predictor: predictor.name });
      return explanationView(await explain(dependencies, predictor, userId, caller.liveQuota));
    },
  });
}

function explanationView(explanation: Explanation): ExplanationView {
  const { predictor, userId, certificate, assignment, stored, features, result } = explanation;
  const user = certificate.user(userId, predictor.name);
  const isAnswer = !(result instanceof TandemError);
  return {
    userId,
    predictor: predictor.name,
    at: new Date(certificate.now).toISOString(),
    history: certificate.history,
    user: { contextVersion: user.version, lastConcerningVersion: user.touched, deletedVersion: user.deletedVersion },
    assignment: {
      modelVersion: String(assignment.modelNumber),
      variant: assignment.arm,
      generation: assignment.generation ? String(assignment.generation.number) : null,
      overlayFloor: assignment.overlayFloor,
      rolloutRevision: assignment.revision,
      expiresFrom: isoOrNull(assignment.expiresFrom),
    },
    ...candidatesView(stored, certificate.now),
    features: features instanceof TandemError ? [] : features.features.map(featureView),
    featureFault: features instanceof TandemError ? null : features.fault,
    featureProblem: features instanceof TandemError ? toProblem(features).problem : null,
    answer: isAnswer ? predictionView(result) : null,
    answerProblem: isAnswer ? null : toProblem(result).problem,
    cacheStatus: isAnswer ? cacheStatus(result, predictor.policy.freshness.maxAgeMs) : null,
  };
}

function featureView({ event, ...feature }: ExplainedFeature) {
  if (!event) return feature;
  const { source, id, time, accepted } = event;
  const moments = { time: new Date(time).toISOString(), acceptedAt: new Date(accepted).toISOString() };
  return { ...feature, event: { source, id, ...moments } };
}

function isoOrNull(ms: number | null): string | null {
  return ms === null ? null : new Date(ms).toISOString();
}
