/** Metrics of states, which are sampled at each scrape. */
import type { InferencePool } from '@tandem/inference/live/pool';
import type { Metrics } from '@tandem/telemetry/metrics';
import { type ConnectionPool, sampleConnections, sampleInference } from '@tandem/telemetry/sampled-stats';

interface SampledParts {
  readonly scorer: Pick<InferencePool, 'stats'>;
  readonly pool: ConnectionPool;
  /** The pool of statements with a feature query. */
  readonly features: ConnectionPool;
  isOnlineOpen(): boolean;
  /** Further states to sample. */
  readonly samples: readonly (() => void)[];
}

export function sampledMetrics(metrics: Metrics, parts: SampledParts): Metrics {
  return {
    ...metrics,
    exposition() {
      sampleInference(metrics, parts.scorer.stats());
      sampleConnections(metrics, 'worker', parts.pool);
      sampleConnections(metrics, 'features', parts.features);
      metrics.onlineStoreUp.set(parts.isOnlineOpen() ? 1 : 0);
      for (const sample of parts.samples) sample();
      return metrics.exposition();
    },
  };
}
