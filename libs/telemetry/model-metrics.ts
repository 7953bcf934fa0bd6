import { Counter, Gauge, type Registry } from 'prom-client';

/** Registers the metrics of the models that inference processes have loaded. */
export function modelMetrics(registry: Registry) {
  const registers = [registry];
  return {
    modelLoads: new Counter({
      name: 'tandem_model_loads_total',
      help: 'Models loaded by inference processes, by occasion: for a trial, ahead of reads, or for a waiting read.',
      labelNames: ['when'] as const,
      registers,
    }),
    modelEvictions: new Counter({
      name: 'tandem_model_evictions_total',
      help: 'Models that an inference process unloaded to make room for another.',
      registers,
    }),
    modelsHeld: new Gauge({
      name: 'tandem_models_held',
      help: 'Models that inference processes have loaded, counted once for each process.',
      registers,
    }),
    modelsHeldBytes: new Gauge({
      name: 'tandem_models_held_bytes',
      help: 'Memory of loaded models, summed over all inference processes.',
      registers,
    }),
    modelRests: new Counter({
      name: 'tandem_model_rests_total',
      help: 'Pauses of live inference because a model repeatedly crashed its process.',
      labelNames: ['predictor'] as const,
      registers,
    }),
    modelsResting: new Gauge({
      name: 'tandem_models_resting',
      help: 'Models with paused live inference. Their users get no live answers.',
      registers,
    }),
  };
}
