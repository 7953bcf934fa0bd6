/** Converts a prediction to the format of the wire, and counts predictions by source and reason. */
import type { Answer, Source } from '@tandem/freshness/answer';
import type { Reason } from '@tandem/freshness/reasons';
import type { ServedAnswer } from '@tandem/prediction/explanations/kept-explanation';
import type { Metrics } from '@tandem/telemetry/metrics';
import type { Count } from '@tandem/telemetry/series';
import type { PredictionView } from '@tandem/wire/predictions';

export function predictionView(answer: ServedAnswer): PredictionView {
  return {
    predictor: answer.predictor,
    userId: answer.userId,
    prediction: answer.prediction,
    source: answer.source,
    reason: answer.reason,
    modelVersion: String(answer.modelNumber),
    variant: answer.variant,
    generation: answer.generationNumber === null ? null : String(answer.generationNumber),
    computedAt: answer.computedAt === null ? null : new Date(answer.computedAt).toISOString(),
    ageSeconds: answer.ageSeconds,
    contextVersion: answer.contextVersion,
    lastConcerningVersion: answer.lastConcerningVersion,
    predictedFromContextVersion: answer.predictedFromContextVersion,
  };
}

// Most answers have the same predictor, source and reason as the one before, so their series is not looked up again.

type PredictionCount = (answer: Pick<Answer, 'predictor' | 'source' | 'reason' | 'refreshed'>) => void;

export function createPredictionCount({
  predictions,
  refreshHits,
}: Pick<Metrics, 'predictions' | 'refreshHits'>): PredictionCount {
  let last: { predictor: string; source: Source; reason: Reason; series: Count } | undefined;
  return ({ predictor, source, reason, refreshed }) => {
    if (last?.predictor !== predictor || last.source !== source || last.reason !== reason) {
      last = { predictor, source, reason, series: predictions.labels({ predictor, source, reason }) };
    }
    last.series.inc();
    if (refreshed) refreshHits.inc({ predictor });
  };
}
