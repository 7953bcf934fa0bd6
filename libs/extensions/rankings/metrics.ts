import { counter } from '@tandem/telemetry/instruments';

export const metrics = {
  rankedCandidates: counter('tandem_ranked_candidates_total', 'Candidates of rankings.', ['predictor']),
};
