import type { Instruments } from './instruments.ts';

/** Registers the metrics of the models that inference processes have loaded. */
export const modelMetrics = (metric: Instruments) => ({
  modelLoads: metric.counter(
    'tandem_model_loads_total',
    'Models loaded by inference processes, by occasion: for a trial, ahead of reads, or for a waiting read.',
    ['when'],
  ),
  modelEvictions: metric.counter(
    'tandem_model_evictions_total',
    'Models that an inference process unloaded to make room for another.',
  ),
  modelsHeld: metric.gauge(
    'tandem_models_held',
    'Models that inference processes have loaded, counted once for each process.',
  ),
  modelsHeldBytes: metric.gauge(
    'tandem_models_held_bytes',
    'Memory of loaded models, summed over all inference processes.',
  ),
  modelRests: metric.counter(
    'tandem_model_rests_total',
    'Pauses of live inference because a model repeatedly crashed its process.',
    ['predictor'],
  ),
  modelsResting: metric.gauge(
    'tandem_models_resting',
    'Models with paused live inference. Their users get no live answers.',
  ),
});
