/** Metrics of what is a state rather than an event, or is counted elsewhere: looked at when Prometheus asks. */
import type { InferencePool } from '@tandem/inference/pool';
import type { Metrics } from '@tandem/telemetry/metrics';
import { type ConnectionPool, sampleConnections } from '@tandem/telemetry/sample-connections';
import { sampleInference } from '@tandem/telemetry/sample-inference';

export interface SampledParts {
  readonly scorer: Pick<InferencePool, 'stats'>;
  /** Of everything but certificates, which have connections of their own. */
  readonly pool: ConnectionPool;
  isOnlineOpen(): boolean;
  /** Predictions in memory. */
  held(): number;
  /** Live answers that could not be kept in Postgres, since the start. */
  overlayWritesDropped(): number;
}

export function sampledMetrics(metrics: Metrics, parts: SampledParts): Metrics {
  let droppedBefore = 0;
  return {
    ...metrics,
    exposition() {
      sampleInference(metrics, parts.scorer.stats());
      sampleConnections(metrics, 'api', parts.pool);
      metrics.onlineStoreUp.set(parts.isOnlineOpen() ? 1 : 0);
      metrics.heldPredictions.set(parts.held());
      const dropped = parts.overlayWritesDropped();
      metrics.overlayWritesDropped.inc(dropped - droppedBefore);
      droppedBefore = dropped;
      return metrics.exposition();
    },
  };
}
