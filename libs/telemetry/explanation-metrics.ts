/** Metrics of kept explanations: what becomes of the answers of users whose answers are kept. */
import { Gauge, type Registry } from 'prom-client';
import { createCountSeries } from './count-series.ts';

export function explanationMetrics(registry: Registry) {
  const registers = [registry];
  return {
    keptExplanations: createCountSeries({
      name: 'tandem_kept_explanations_total',
      help: 'Served answers of users whose answers are kept, by what became of them: kept, or why not.',
      labelNames: ['predictor', 'outcome'] as const,
      registers,
    }),
    explanationsWaiting: new Gauge({
      name: 'tandem_explanations_waiting',
      help: 'Served answers that wait to be kept.',
      registers,
    }),
  };
}
