/** Finds the stored predictions of a user in both stores, with the freshness state of each. */
import { predictionOf } from '@tandem/freshness/answer';
import { type Assignment, type Certificate, layerOf } from '@tandem/freshness/certificate';
import { type CandidateState, judge } from '@tandem/freshness/judge';
import type { Prediction, Predictor } from '@tandem/freshness/predictor';
import type { Registry } from '@tandem/freshness/reader';
import type { StoredPrediction, StoredPredictions } from '@tandem/freshness/stored-prediction';

export interface CandidateDependencies {
  readonly online: StoredPredictions;
  readonly offline: StoredPredictions;
  readonly registry: Pick<Registry, 'modelVersion'>;
}

type StoreName = 'redis' | 'postgres';

export interface JudgedCandidate {
  readonly store: StoreName;
  readonly stored: StoredPrediction;
  readonly state: CandidateState;
  /** Null if the stored bytes do not have the layout of the model version, or if that version cannot be read. */
  readonly prediction: Prediction | null;
  readonly modelNumber: number | null;
  /** The number of the current generation; null if the prediction does not belong to it. */
  readonly generationNumber: number | null;
}

export interface FoundCandidates {
  /** `failed`: the store did not answer, and may contain further predictions. */
  readonly stores: Readonly<Record<StoreName, 'ok' | 'failed'>>;
  readonly candidates: readonly JudgedCandidate[];
}

export async function findCandidates(
  { online, offline, registry }: CandidateDependencies,
  predictor: Predictor,
  assignment: Assignment,
  certificate: Certificate,
  userId: string,
): Promise<FoundCandidates> {
  const [redis, postgres] = await Promise.all(
    [online, offline].map((store) => store.find(assignment, [userId]).catch(() => null)),
  );
  const user = certificate.user(userId, predictor.name);
  const judged = async (store: StoreName, stored: StoredPrediction): Promise<JudgedCandidate> => {
    const version = await registry.modelVersion(stored.modelVersionId).catch(() => undefined);
    return {
      store,
      stored,
      state: judge(stored, user, assignment, certificate, predictor.policy.freshness),
      prediction: (version && predictionOf(version, stored)) ?? null,
      modelNumber: version?.number ?? null,
      generationNumber: layerOf(assignment.generation, stored.generationId)?.number ?? null,
    };
  };
  const candidates = await Promise.all([
    ...(redis?.get(userId) ?? []).map((stored) => judged('redis', stored)),
    ...(postgres?.get(userId) ?? []).map((stored) => judged('postgres', stored)),
  ]);
  return { stores: { redis: redis ? 'ok' : 'failed', postgres: postgres ? 'ok' : 'failed' }, candidates };
}
