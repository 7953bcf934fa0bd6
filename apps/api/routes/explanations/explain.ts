import { type Authority, isErased } from '@tandem/freshness/certificate';
import { notFound, TandemError, unknownPredictor } from '@tandem/freshness/errors';
import type { ModelVersion, Predictor } from '@tandem/freshness/predictor';
import { type LiveQuota, PLAIN_READ } from '@tandem/freshness/read-options';
import type { PredictionReader, Registry } from '@tandem/freshness/reader';
import type { findProvenance } from '@tandem/offline-store/features/provenance';
import { type CandidateDependencies, findCandidates } from '../users/find-candidates.ts';

/** The features of one user as live inference would read them, with the source of each. */
type ExplainedUser = Pick<Awaited<ReturnType<typeof findProvenance>>, 'features' | 'fault'>;
export type ExplainedFeature = ExplainedUser['features'][number];

export interface ExplanationDependencies extends CandidateDependencies {
  readonly authority: Authority;
  readonly registry: Pick<Registry, 'predictor' | 'modelVersion'>;
  /** Port: reads the features of one user with their provenance. */
  explainFeatures(version: ModelVersion, userId: string): Promise<ExplainedUser>;
  readonly readPrediction: PredictionReader;
}

export type Explanation = Awaited<ReturnType<typeof explain>>;

type KnownParts = Omit<ExplanationDependencies, 'readPrediction'>;

/**
 * Finds the stored predictions and the features of a user. Rejects with `unknown_predictor`, `unknown_user` for an erased
 * user, or `unavailable`.
 */
async function lookUp(dependencies: KnownParts, predictor: Predictor, userId: string) {
  const { authority, registry, explainFeatures } = dependencies;
  const certificate = await authority.certify([userId], predictor.name);
  const assignment = certificate.assignments(predictor.name)?.of(userId);
  if (!assignment) throw unknownPredictor(predictor.name);
  if (isErased(certificate.user(userId, predictor.name))) throw notFound(userId);
  const version = await registry.modelVersion(assignment.modelVersionId);
  const [stored, features] = await Promise.all([
    findCandidates(dependencies, predictor, assignment, certificate, userId),
    explainFeatures(version, userId).catch(asTandemError),
  ]);
  return { certificate, assignment, version, stored, features };
}

/** Rejects with `unknown_user` if a user has neither a stored prediction nor a feature row. */
export async function requireKnown(dependencies: KnownParts, predictor: Predictor, userId: string): Promise<void> {
  const { stored, features } = await lookUp(dependencies, predictor, userId);
  if (stored.candidates.length > 0) return;
  if (features instanceof TandemError) throw features;
  if (features.features.length === 0) throw notFound(userId);
}

/** Explains the answer. Rejects with `unknown_predictor`, `unknown_user` (also for an erased user) or `unavailable`. */
export async function explain(
  dependencies: ExplanationDependencies,
  predictor: Predictor,
  userId: string,
  liveQuota?: LiveQuota,
) {
  const found = await lookUp(dependencies, predictor, userId);
  const [result] = await dependencies.readPrediction(
    predictor.name,
    [userId],
    liveQuota ? { ...PLAIN_READ, liveQuota } : PLAIN_READ,
  );
  return {
    predictor,
    userId,
    ...found,
    result: result ?? notFound(userId),
  };
}

function asTandemError(cause: unknown): TandemError {
  if (cause instanceof TandemError) return cause;
  return new TandemError('unavailable', 'The feature source could not be read.', { cause });
}
