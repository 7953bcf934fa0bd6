/**
 * The product's metrics in a registry of their own: what each counts, and by which labels. Labels have few values
 * (predictors, states, reasons); ids, users and error texts belong in the log.
 */
import { Counter, collectDefaultMetrics, Gauge, Registry } from 'prom-client';
import { modelMetrics } from './model-metrics.ts';
import { refreshMetrics } from './refresh-metrics.ts';
import { runMetrics } from './run-metrics.ts';
import { createCountSeries, createTimerSeries, DELAY_BUCKETS, LATENCY_BUCKETS, USER_BUCKETS } from './series.ts';
import { shadowMetrics } from './shadow-metrics.ts';

export type Metrics = ReturnType<typeof createMetrics>;

interface MetricsOptions {
  /** The program: the label `app` of every series. */
  readonly app: string;
  /** The label `process` of every series, where several processes answer together. */
  readonly process?: number | undefined;
  /** Whether process, heap and event-loop metrics are gathered; they keep a sampler running. Default true. */
  readonly processMetrics?: boolean;
}

export function createMetrics({ app, process, processMetrics = true }: MetricsOptions) {
  const registry = new Registry();
  registry.setDefaultLabels({ app, ...(process === undefined ? {} : { process: String(process) }) });
  if (processMetrics) collectDefaultMetrics({ register: registry, eventLoopMonitoringPrecision: 10 });
  return {
    ...readMetrics(registry),
    ...latencyMetrics(registry),
    ...inferenceMetrics(registry),
    ...modelMetrics(registry),
    ...eventMetrics(registry),
    ...outcomeMetrics(registry),
    ...runMetrics(registry),
    ...refreshMetrics(registry),
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
    rememberedPredictions: new Gauge({
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
  };
}

/** Metrics of the stores as a process sees them, and of what it had to warn of. */
function storeMetrics(registry: Registry) {
  const registers = [registry];
  return {
    onlineStoreUp: new Gauge({
      name: 'tandem_online_store_up',
      help: 'Whether commands are sent to the cache: 0 while it is not connected, or its circuit is open.',
      registers,
    }),
    poolConnections: new Gauge({
      name: 'tandem_postgres_connections',
      help: 'Connections to Postgres by pool: in use or idle.',
      labelNames: ['pool', 'state'] as const,
      registers,
    }),
    poolWaiting: new Gauge({
      name: 'tandem_postgres_waiting',
      help: 'Callers that wait for a connection of the pool.',
      labelNames: ['pool'] as const,
      registers,
    }),
    historyChanges: new Counter({
      name: 'tandem_history_changes_total',
      help: "Times that this process saw the database's history change: a restore, or a failover.",
      registers,
    }),
    warnings: new Counter({
      name: 'tandem_log_warnings_total',
      help: 'Lines of the log at warn and error, by event, whether LOG_LEVEL lets them through or not.',
      labelNames: ['level', 'event'] as const,
      registers,
    }),
  };
}

/** Metrics of kept explanations: what becomes of the answers of users whose answers are kept. */
function explanationMetrics(registry: Registry) {
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

/** Metrics of what is served during rollouts, and of what came of it. */
function outcomeMetrics(registry: Registry) {
  const registers = [registry];
  return {
    outcomes: new Counter({
      name: 'tandem_outcomes_total',
      help: 'Outcomes received, by what became of them: accepted, duplicate, erased or refused.',
      labelNames: ['outcome'] as const,
      registers,
    }),
    servedFlushes: new Counter({
      name: 'tandem_served_flushes_total',
      help: 'Times that the counts and exposures of rollouts were written down; what failed is tried again with the next.',
      labelNames: ['outcome'] as const,
      registers,
    }),
    exposuresDropped: new Counter({
      name: 'tandem_exposures_dropped_total',
      help: 'First answers from an arm of a rollout that could not be noted; each is tried again at the next answer.',
      registers,
    }),
    readCountsDropped: new Counter({
      name: 'tandem_read_counts_dropped_total',
      help: 'Users whose count of reads since the last flush was lost: too many users were read, or Postgres refused it.',
      registers,
    }),
  };
}

// Metrics of events: what became of them, and how long it takes until they show.

function eventMetrics(registry: Registry) {
  return { ...eventCounters([registry]), ...eventTimers([registry]) };
}

function eventCounters(registers: Registry[]) {
  return {
    events: new Counter({
      name: 'tandem_events_total',
      help: 'Events received over HTTP, by what became of them: accepted, duplicate, erased or refused.',
      labelNames: ['outcome'] as const,
      registers,
    }),
    eventsIgnored: new Counter({
      name: 'tandem_events_with_ignored_values_total',
      help: 'Accepted events with values that no predictor takes; their acknowledgements name them.',
      registers,
    }),
    hintsFailed: new Counter({
      name: 'tandem_hints_failed_total',
      help: 'Version hints that Redis did not take; reads stay right without them.',
      registers,
    }),
  };
}

function eventTimers(registers: Registry[]) {
  return {
    eventAccept: createTimerSeries({
      name: 'tandem_event_accept_seconds',
      help: 'Time of the transaction that makes the events of one request durable.',
      labelNames: ['outcome'] as const,
      buckets: LATENCY_BUCKETS,
      registers,
    }),
    eventHint: createTimerSeries({
      name: 'tandem_event_hint_seconds',
      help: "Time from the commit of a request's events until Redis has their versions, or until nobody waits any more.",
      labelNames: ['outcome'] as const,
      buckets: LATENCY_BUCKETS,
      registers,
    }),
    eventVisible: createTimerSeries({
      name: 'tandem_event_visible_seconds',
      help: "Time from a user's last event until the first prediction made of it that was stored for the next read.",
      labelNames: ['predictor'] as const,
      buckets: DELAY_BUCKETS,
      registers,
    }),
  };
}
