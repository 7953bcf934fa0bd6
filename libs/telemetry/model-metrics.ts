import { Counter, Gauge, type Registry } from 'prom-client';

/** Metrics of the models that inference processes hold. */
export function modelMetrics(registry: Registry) {
  const registers = [registry];
  return {
    modelLoads: new Counter({
      name: 'tandem_model_loads_total',
      help: 'Models that an inference process loaded, by when: in a trial, ahead of reads, or on demand of one.',
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
      help: 'Models that inference processes have loaded, each counted once a process.',
      registers,
    }),
    modelsHeldBytes: new Gauge({
      name: 'tandem_models_held_bytes',
      help: 'Memory that the loaded models take, of all inference processes together.',
      registers,
    }),
    modelRests: new Counter({
      name: 'tandem_model_rests_total',
      help: 'Times that live inference of a model was paused because it kept ending its process.',
      labelNames: ['predictor'] as const,
      registers,
    }),
    modelsResting: new Gauge({
      name: 'tandem_models_resting',
      help: 'Models whose live inference is paused; above 0, their users are not answered live.',
      registers,
    }),
  };
}
