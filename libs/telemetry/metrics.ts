/**
 * The product's metrics, in a separate registry. Labels have few values, such as predictors, states and reasons. Ids,
 * users and error texts belong in the log.
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
  /** The label `process` of every series, if the expositions of several processes are merged. */
  readonly process?: number | undefined;
  /** Whether to collect process, heap and event-loop metrics, which need a running sampler. Default true. */
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
    /** Returns all series in the Prometheus text format. */
    exposition: () => registry.metrics(),
  };
}

function readMetrics(registry: Registry) {
  const registers = [registry];
  return {
    predictions: createCountSeries({
      name: 'tandem_predictions_total',
      help: 'Predictions served, by source and reason.',
      labelNames: ['predictor', 'source', 'reason'] as const,
      registers,
    }),
    predictionErrors: new Counter({
      name: 'tandem_prediction_errors_total',
      help: 'Reads answered with an error instead of a prediction.',
      labelNames: ['predictor', 'code'] as const,
      registers,
    }),
    requestPredictions: new Counter({
      name: 'tandem_request_predictions_total',
      help: 'Predictions served to calls with request features, by source and reason.',
      labelNames: ['predictor', 'source', 'reason'] as const,
      registers,
    }),
    rankedCandidates: new Counter({
      name: 'tandem_ranked_candidates_total',
      help: 'Candidates of rankings.',
      labelNames: ['predictor'] as const,
      registers,
    }),
    rememberedPredictions: new Gauge({
      name: 'tandem_held_predictions',
      help: 'Predictions held in the memory of this process.',
      registers,
    }),
    overlayWritesDropped: new Counter({
      name: 'tandem_overlay_writes_dropped_total',
      help: 'Live predictions that were served but could not be stored for the next read.',
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
      help: 'Users certified by one statement.',
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
      help: 'Requests waiting for an inference process.',
      labelNames: ['priority'] as const,
      registers,
    }),
    inferenceSaturation: new Gauge({
      name: 'tandem_inference_saturation_ratio',
      help: 'Share of inference processes at work, from 0 (all idle) to 1 (all busy).',
      registers,
    }),
    inferenceRestarts: new Counter({
      name: 'tandem_inference_restarts_total',
      help: 'Inference processes that were replaced, by reason.',
      labelNames: ['why'] as const,
      registers,
    }),
  };
}

/** Registers the metrics of the stores as a process sees them, and of its warnings. */
function storeMetrics(registry: Registry) {
  const registers = [registry];
  return {
    onlineStoreUp: new Gauge({
      name: 'tandem_online_store_up',
      help: '1 while commands are sent to the cache; 0 while it is disconnected or its circuit is open.',
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
      help: 'Callers waiting for a connection of the pool.',
      labelNames: ['pool'] as const,
      registers,
    }),
    historyChanges: new Counter({
      name: 'tandem_history_changes_total',
      help: "Changes of the database's history seen by this process: restores and failovers.",
      registers,
    }),
    lostPasts: new Counter({
      name: 'tandem_lost_pasts_total',
      help: 'Labels of predictions above the version that Postgres certifies: a crash has lost their commits.',
      registers,
    }),
    warnings: new Counter({
      name: 'tandem_log_warnings_total',
      help: 'Log events at warn and error, by event, counted at any LOG_LEVEL.',
      labelNames: ['level', 'event'] as const,
      registers,
    }),
  };
}

/** Registers the metrics of kept explanations: the served answers of sampled users, by result. */
function explanationMetrics(registry: Registry) {
  const registers = [registry];
  return {
    keptExplanations: createCountSeries({
      name: 'tandem_kept_explanations_total',
      help: 'Served answers of sampled users, by result: kept, or the reason why not.',
      labelNames: ['predictor', 'outcome'] as const,
      registers,
    }),
    explanationsWaiting: new Gauge({
      name: 'tandem_explanations_waiting',
      help: 'Served answers waiting to be kept.',
      registers,
    }),
  };
}

/** Registers the metrics of served reads during rollouts, and of their outcomes. */
function outcomeMetrics(registry: Registry) {
  const registers = [registry];
  return {
    outcomes: new Counter({
      name: 'tandem_outcomes_total',
      help: 'Outcomes received, by result: accepted, duplicate, erased or refused.',
      labelNames: ['outcome'] as const,
      registers,
    }),
    servedFlushes: new Counter({
      name: 'tandem_served_flushes_total',
      help: 'Flushes of the counts and exposures of rollouts, by result; a failed flush is retried with the next.',
      labelNames: ['outcome'] as const,
      registers,
    }),
    exposuresDropped: new Counter({
      name: 'tandem_exposures_dropped_total',
      help: 'First answers from an arm of a rollout that could not be recorded; retried at the next answer.',
      registers,
    }),
    readCountsDropped: new Counter({
      name: 'tandem_read_counts_dropped_total',
      help: 'Users whose read counts since the last flush were lost: too many users were read, or Postgres rejected the flush.',
      registers,
    }),
  };
}

// Metrics of events: their results, and the time until predictions reflect them.

function eventMetrics(registry: Registry) {
  return { ...eventCounters([registry]), ...eventTimers([registry]) };
}

function eventCounters(registers: Registry[]) {
  return {
    events: new Counter({
      name: 'tandem_events_total',
      help: 'Events received over HTTP, by result: accepted, duplicate, erased or refused.',
      labelNames: ['outcome'] as const,
      registers,
    }),
    eventsIgnored: new Counter({
      name: 'tandem_events_with_ignored_values_total',
      help: 'Accepted events with values that no predictor uses. The acknowledgement names the values.',
      registers,
    }),
    hintsFailed: new Counter({
      name: 'tandem_hints_failed_total',
      help: 'Version hints that Redis rejected. Reads stay correct without them.',
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
      help: "Time from the commit of a request's events until Redis has their versions, or until the wait times out.",
      labelNames: ['outcome'] as const,
      buckets: LATENCY_BUCKETS,
      registers,
    }),
    eventVisible: createTimerSeries({
      name: 'tandem_event_visible_seconds',
      help: "Time from a user's last event until the first prediction computed from it was stored.",
      labelNames: ['predictor'] as const,
      buckets: DELAY_BUCKETS,
      registers,
    }),
  };
}
