/** Metrics of what is a state rather than an event, or is counted elsewhere: looked at when Prometheus asks. */
import type { InferencePool } from '@tandem/inference/live/pool';
import type { Metrics } from '@tandem/telemetry/metrics';
import { type ConnectionPool, sampleConnections, sampleInference } from '@tandem/telemetry/sampled-stats';

interface SampledParts {
  readonly scorer: Pick<InferencePool, 'stats'>;
  /** Of all else but certificates, which have connections of their own. */
  readonly pool: ConnectionPool;
  /** Of statements with a feature query. */
  readonly features: ConnectionPool;
  /** Answers that wait to be compared. */
  readonly shadow: { waiting(): number };
  /** Answers that wait to be kept. */
  readonly explanationKeeper: { waiting(): number };
  isOnlineOpen(): boolean;
  /** Predictions in memory. */
  remembered(): number;
  readonly servedReads: { dropped(): number };
  /** Live answers that could not be kept in Postgres, since the start. */
  overlayWritesDropped(): number;
  /** Rejects while Postgres does not answer. */
  countBatchWork(): Promise<number>;
}

/** Least time between two counts, however many scrapers ask. */
const COUNT_WORK_EVERY_MS = 5_000;

export function sampledMetrics(metrics: Metrics, parts: SampledParts): Metrics {
  const told = { overlayWrites: 0, exposures: 0 };
  let countedAt = Number.NEGATIVE_INFINITY;
  let counting: Promise<void> = Promise.resolve();
  async function countWork(): Promise<void> {
    // A scaler must not act on an old number, nor on 0.
    await parts.countBatchWork().then(
      (work) => metrics.batchWork.set(work),
      () => metrics.batchWork.remove(),
    );
  }
  function sampleBatchWork(): Promise<void> {
    if (performance.now() - countedAt >= COUNT_WORK_EVERY_MS) {
      countedAt = performance.now();
      counting = countWork();
    }
    return counting;
  }
  return {
    ...metrics,
    async exposition() {
      await sampleBatchWork();
      sampleInference(metrics, parts.scorer.stats());
      sampleConnections(metrics, 'api', parts.pool);
      sampleConnections(metrics, 'features', parts.features);
      metrics.onlineStoreUp.set(parts.isOnlineOpen() ? 1 : 0);
      metrics.rememberedPredictions.set(parts.remembered());
      metrics.shadowWaiting.set(parts.shadow.waiting());
      metrics.explanationsWaiting.set(parts.explanationKeeper.waiting());
      const overlayWrites = parts.overlayWritesDropped();
      metrics.overlayWritesDropped.inc(overlayWrites - told.overlayWrites);
      told.overlayWrites = overlayWrites;
      const exposures = parts.servedReads.dropped();
      metrics.exposuresDropped.inc(exposures - told.exposures);
      told.exposures = exposures;
      return metrics.exposition();
    },
  };
}
