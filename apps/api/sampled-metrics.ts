/** Metrics of what is a state rather than an event, or is counted elsewhere: looked at when Prometheus asks. */
import type { InferencePool } from '@tandem/inference/pool';
import type { Metrics } from '@tandem/telemetry/metrics';

export interface SampledParts {
  readonly scorer: Pick<InferencePool, 'stats'>;
  /** Live answers that could not be kept in Postgres, since the start. */
  overlayWritesDropped(): number;
}

export function sampledMetrics(metrics: Metrics, { scorer, overlayWritesDropped }: SampledParts): Metrics {
  let droppedBefore = 0;
  return {
    ...metrics,
    exposition() {
      const { processes, idle, waitingRows, restingModels } = scorer.stats();
      metrics.inferenceQueueDepth.set({ priority: 'live' }, waitingRows.live);
      metrics.inferenceQueueDepth.set({ priority: 'batch' }, waitingRows.batch);
      metrics.inferenceSaturation.set(processes === 0 ? 0 : (processes - idle) / processes);
      metrics.modelsResting.set(restingModels);
      const dropped = overlayWritesDropped();
      metrics.overlayWritesDropped.inc(dropped - droppedBefore);
      droppedBefore = dropped;
      return metrics.exposition();
    },
  };
}
