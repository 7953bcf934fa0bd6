/** An explanation in the wire format. */
import { predictionView } from '@tandem/embedded/prediction-view';
import { TandemError } from '@tandem/freshness/errors';
import type { ExplanationView } from '@tandem/wire/explanations';
import { cacheStatus } from '../../http/caching.ts';
import { toProblem } from '../../http/problem.ts';
import { candidatesView } from '../users/candidate-view.ts';
import type { ExplainedFeature, Explanation } from './explain.ts';

export function explanationView(explanation: Explanation): ExplanationView {
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
