/** Counts what is answered. Most answers are of the kind of the one before: its series need not be found again. */
import type { Reason, Source } from '@tandem/freshness/answer';
import type { Metrics } from '@tandem/telemetry/metrics';
import type { Count } from '@tandem/telemetry/series';

export type PredictionCount = (predictor: string, source: Source, reason: Reason) => void;

export function createPredictionCount({ predictions }: Pick<Metrics, 'predictions'>): PredictionCount {
  let last: { predictor: string; source: Source; reason: Reason; series: Count } | undefined;
  return (predictor, source, reason) => {
    if (last?.predictor !== predictor || last.source !== source || last.reason !== reason) {
      last = { predictor, source, reason, series: predictions.labels({ predictor, source, reason }) };
    }
    last.series.inc();
  };
}
