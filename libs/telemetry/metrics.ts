/**
 * The product's metrics in a registry of their own: what each counts, and by which labels. Labels have few values
 * (predictors, states, reasons); ids, users and error texts belong in the log.
 */
import { Counter, collectDefaultMetrics, Gauge, Registry } from 'prom-client';
import { createCountSeries } from './count-series.ts';
import { eventMetrics } from './event-metrics.ts';
import { explanationMetrics } from './explanation-metrics.ts';
import { outcomeMetrics } from './outcome-metrics.ts';
import { runMetrics } from './run-metrics.ts';
import { shadowMetrics } from './shadow-metrics.ts';
import { LATENCY_BUCKETS, USER_BUCKETS } from './steps.ts';
import { storeMetrics } from './store-metrics.ts';
import { createTimerSeries } from './timer-series.ts';

export type Metrics = ReturnType<typeof createMetrics>;

export interface MetricsOptions {
  /** The program: the label `app` of every series. */
  readonly app: string;
  /** Whether process, heap and event-loop metrics are gathered; they keep a sampler running. Default true. */
  readonly processMetrics?: boolean;
}

export function createMetrics({ app, processMetrics = true }: MetricsOptions) {
  const registry = new Registry();
  registry.setDefaultLabels({ app });
  if (processMetrics) collectDefaultMetrics({ register: registry, eventLoopMonitoringPrecision: 10 });
  return {
    ...readMetrics(registry),
    ...latencyMetrics(registry),
    ...inferenceMetrics(registry),
    ...eventMetrics(registry),
    ...outcomeMetrics(registry),
    ...runMetrics(registry),
    ...shadowMetrics(registry),
    ...explanationMetrics(registry),
    ...storeMetrics(registry),
    /** The content type of `exposition`. */
    contentType: registry.contentType,
    /** All series in the Prometheus text format. */
    exposition: () => registry.metrics(),
  };
}

function readMetrics(registry: Registry) {
  const registers = [registry];
  return {
    predictions: createCountSeries({
      name: 'tandem_predictions_total',
      help: 'Predictions served, by where they come from and why.',
      labelNames: ['predictor', 'source', 'reason'] as const,
      registers,
    }),
    predictionErrors: new Counter({
      name: 'tandem_prediction_errors_total',
      help: 'Reads answered with an error in place of a prediction.',
      labelNames: ['predictor', 'code'] as const,
      registers,
    }),
    heldPredictions: new Gauge({
      name: 'tandem_held_predictions',
      help: 'Predictions held in the memory of this process.',
      registers,
    }),
    overlayWritesDropped: new Counter({
      name: 'tandem_overlay_writes_dropped_total',
      help: 'Live predictions that were served and could not be kept for the next read.',
      registers,
    }),
  };
}

function latencyMetrics(registry: Registry) {
  const registers = [registry];
  return {
    httpRequests: createTimerSeries({
      name: 'tandem_http_request_seconds',
      help: 'Time to answer an HTTP request, by route pattern.',
      labelNames: ['method', 'route', 'status'] as const,
      buckets: LATENCY_BUCKETS,
      registers,
    }),
    httpProblems: new Counter({
      name: 'tandem_http_problems_total',
      help: 'Requests answered with a problem, by route pattern and the code of the problem.',
      labelNames: ['route', 'status', 'code'] as const,
      registers,
    }),
    authority: createTimerSeries({
      name: 'tandem_authority_seconds',
      help: 'Time of the Postgres statement that certifies reads.',
      labelNames: ['outcome'] as const,
      buckets: LATENCY_BUCKETS,
      registers,
    }),
    authorityUsers: createTimerSeries({
      name: 'tandem_authority_users',
      help: 'Users that one answered statement certified: how many reads share it.',
      labelNames: [] as const,
      buckets: USER_BUCKETS,
      registers,
    }),
    onlineLookup: createTimerSeries({
      name: 'tandem_online_lookup_seconds',
      help: 'Time to find stored predictions in Redis.',
      labelNames: ['outcome'] as const,
      buckets: LATENCY_BUCKETS,
      registers,
    }),
  };
}

function inferenceMetrics(registry: Registry) {
  const registers = [registry];
  return {
    liveInference: createTimerSeries({
      name: 'tandem_live_inference_seconds',
      help: 'Time of live inference for a read, features included.',
      labelNames: ['predictor', 'outcome'] as const,
      buckets: LATENCY_BUCKETS,
      registers,
    }),
    inferenceQueueDepth: new Gauge({
      name: 'tandem_inference_queue_depth',
      help: 'Requests that wait for an inference process.',
      labelNames: ['priority'] as const,
      registers,
    }),
    inferenceSaturation: new Gauge({
      name: 'tandem_inference_saturation_ratio',
      help: 'Inference processes at work, of those there are: 0 idle, 1 all busy.',
      registers,
    }),
    inferenceRestarts: new Counter({
      name: 'tandem_inference_restarts_total',
      help: 'Inference processes that were replaced, by why.',
      labelNames: ['why'] as const,
      registers,
    }),
    modelRests: new Counter({
      name: 'tandem_model_rests_total',
      help: 'Times that a model was given a rest from live reads, since it kept ending its process.',
      labelNames: ['predictor'] as const,
      registers,
    }),
    modelsResting: new Gauge({
      name: 'tandem_models_resting',
      help: 'Models that are given a rest from live reads; above 0, their users are not answered live.',
      registers,
    }),
  };
}
