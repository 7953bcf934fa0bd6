/** Metrics of what is a state rather than an event: looked at when Prometheus asks. */
import type { InferencePool } from '@tandem/inference/pool';
import type { Metrics } from '@tandem/telemetry/metrics';

export interface SampledParts {
  readonly scorer: Pick<InferencePool, 'stats'>;
}

export function sampledMetrics(metrics: Metrics, { scorer }: SampledParts): Metrics {
  return {
    ...metrics,
    exposition() {
      const { processes, idle, waitingRows } = scorer.stats();
      metrics.inferenceQueueDepth.set({ priority: 'live' }, waitingRows.live);
      metrics.inferenceQueueDepth.set({ priority: 'batch' }, waitingRows.batch);
      metrics.inferenceSaturation.set(processes === 0 ? 0 : (processes - idle) / processes);
      return metrics.exposition();
    },
  };
}
