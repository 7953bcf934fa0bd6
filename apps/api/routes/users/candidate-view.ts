/** A stored prediction of a user in the wire format, with its state according to the freshness rule. */
import type { CandidateView } from '@tandem/wire/users';
import type { FoundCandidates, JudgedCandidate } from './find-candidates.ts';

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
