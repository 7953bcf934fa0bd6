/** Finds the stored predictions of a user in both stores, with the freshness state of each, and renders them. */
import { predictionOf } from '@tandem/freshness/answer';
import { type Assignment, type Certificate, layerOf } from '@tandem/freshness/certificate';
import { type CandidateState, judge } from '@tandem/freshness/judge';
import type { Prediction, Predictor } from '@tandem/freshness/predictor';
import type { Registry } from '@tandem/freshness/reader';
import type { StoredPrediction, StoredPredictions } from '@tandem/freshness/stored-prediction';
import type { CandidateView } from '@tandem/wire/users';

export interface CandidateDependencies {
  readonly online: StoredPredictions;
  readonly offline: StoredPredictions;
  readonly registry: Pick<Registry, 'modelVersion'>;
}

type StoreName = 'redis' | 'postgres';

interface JudgedCandidate {
  readonly store: StoreName;
  readonly stored: StoredPrediction;
  readonly state: CandidateState;
  /** Null if the stored bytes do not have the layout of the model version, or if that version cannot be read. */
  readonly prediction: Prediction | null;
  readonly modelNumber: number | null;
  /** The number of the current generation; null if the prediction does not belong to it. */
  readonly generationNumber: number | null;
}

interface FoundCandidates {
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

/**
 * Renders the stored predictions of a user.
 * @param now the database's clock, ms since 1970
 */
export function candidatesView({ stores, candidates }: FoundCandidates, now: number) {
  return { stores, candidates: candidates.map((one) => candidateView(one, now)) };
}

function candidateView(judged: JudgedCandidate, now: number): CandidateView {
  const { store, stored, state, prediction, modelNumber, generationNumber } = judged;
  return {
    store,
    layer: stored.layer,
    source: stored.source,
    madeBy: stored.source === 'batch' ? 'run' : stored.refreshed ? 'refresh' : 'read',
    state,
    prediction,
    modelVersion: modelNumber === null ? null : String(modelNumber),
    generation: generationNumber === null ? null : String(generationNumber),
    history: stored.history,
    overlayFloor: stored.overlayFloor,
    predictedFromContextVersion: stored.contextVersion,
    computedAt: new Date(stored.computedAt).toISOString(),
    ageSeconds: Math.max(0, Math.floor((now - stored.computedAt) / 1000)),
  };
}
