/**
 * The product's metrics, in a separate registry. Labels have few values, such as predictors, states and reasons. Ids,
 * users and error texts belong in the log.
 */
import { collectDefaultMetrics, Registry } from 'prom-client';
import { counter, countSeries, gauge, timerSeries } from './instruments.ts';
import { RUN_METRICS } from './run-metrics.ts';
import { DELAY_BUCKETS, LAG_BUCKETS, LATENCY_BUCKETS, USER_BUCKETS } from './series.ts';

const METRICS = {
  // Reads.
  predictions: countSeries('tandem_predictions_total', 'Predictions served, by source and reason.', [
    'predictor',
    'source',
    'reason',
  ]),
  predictionErrors: counter('tandem_prediction_errors_total', 'Reads answered with an error instead of a prediction.', [
    'predictor',
    'code',
  ]),
  requestPredictions: counter(
    'tandem_request_predictions_total',
    'Predictions served to calls with request features, by source and reason.',
    ['predictor', 'source', 'reason'],
  ),
  rememberedPredictions: gauge('tandem_held_predictions', 'Predictions held in the memory of this process.'),
  overlayWritesDropped: counter(
    'tandem_overlay_writes_dropped_total',
    'Live predictions that were served but could not be stored for the next read.',
  ),

  // Latencies.
  httpRequests: timerSeries(
    'tandem_http_request_seconds',
    'Time to answer an HTTP request, by route pattern.',
    LATENCY_BUCKETS,
    ['method', 'route', 'status'],
  ),
  httpProblems: counter(
    'tandem_http_problems_total',
    'Requests answered with a problem, by route pattern and the code of the problem.',
    ['route', 'status', 'code'],
  ),
  authority: timerSeries(
    'tandem_authority_seconds',
    'Time of the Postgres statement that certifies reads.',
    LATENCY_BUCKETS,
    ['outcome'],
  ),
  authorityUsers: timerSeries('tandem_authority_users', 'Users certified by one statement.', USER_BUCKETS),
  onlineLookup: timerSeries(
    'tandem_online_lookup_seconds',
    'Time to find stored predictions in Redis.',
    LATENCY_BUCKETS,
    ['outcome'],
  ),

  // Inference.
  liveInference: timerSeries(
    'tandem_live_inference_seconds',
    'Time of live inference for a read, features included.',
    LATENCY_BUCKETS,
    ['predictor', 'outcome'],
  ),
  inferenceQueueDepth: gauge('tandem_inference_queue_depth', 'Requests waiting for an inference process.', [
    'priority',
  ]),
  inferenceSaturation: gauge(
    'tandem_inference_saturation_ratio',
    'Share of inference processes at work, from 0 (all idle) to 1 (all busy).',
  ),
  inferenceRestarts: counter('tandem_inference_restarts_total', 'Inference processes that were replaced, by reason.', [
    'why',
  ]),

  // Models that inference processes have loaded.
  modelLoads: counter(
    'tandem_model_loads_total',
    'Models loaded by inference processes, by occasion: for a trial, ahead of reads, or for a waiting read.',
    ['when'],
  ),
  modelEvictions: counter(
    'tandem_model_evictions_total',
    'Models that an inference process unloaded to make room for another.',
  ),
  modelsHeld: gauge(
    'tandem_models_held',
    'Models that inference processes have loaded, counted once for each process.',
  ),
  modelsHeldBytes: gauge('tandem_models_held_bytes', 'Memory of loaded models, summed over all inference processes.'),
  modelRests: counter(
    'tandem_model_rests_total',
    'Pauses of live inference because a model repeatedly crashed its process.',
    ['predictor'],
  ),
  modelsResting: gauge('tandem_models_resting', 'Models with paused live inference. Their users get no live answers.'),

  // Events: their results, and the time until predictions reflect them.
  events: counter(
    'tandem_events_total',
    'Events received over HTTP, by result: accepted, duplicate, erased or refused.',
    ['outcome'],
  ),
  eventsIgnored: counter(
    'tandem_events_with_ignored_values_total',
    'Accepted events with values that no predictor uses. The acknowledgement names the values.',
  ),
  hintsFailed: counter(
    'tandem_hints_failed_total',
    'Version hints that Redis rejected. Reads stay correct without them.',
  ),
  eventAccept: timerSeries(
    'tandem_event_accept_seconds',
    'Time of the transaction that makes the events of one request durable.',
    LATENCY_BUCKETS,
    ['outcome'],
  ),
  eventHint: timerSeries(
    'tandem_event_hint_seconds',
    "Time from the commit of a request's events until Redis has their versions, or until the wait times out.",
    LATENCY_BUCKETS,
    ['outcome'],
  ),
  eventVisible: timerSeries(
    'tandem_event_visible_seconds',
    "Time from a user's last event until the first prediction computed from it was stored.",
    DELAY_BUCKETS,
    ['predictor'],
  ),

  // Counts of demand.
  readCountsDropped: counter(
    'tandem_read_counts_dropped_total',
    'Users whose read counts since the last flush were lost: too many users were read, or Postgres rejected the flush.',
  ),

  ...RUN_METRICS,

  // Re-scoring: users waiting, results, delays, cost, and reads that were answered from it.
  refreshWaiting: gauge(
    'tandem_refresh_waiting',
    'Users made stale by events who wait in this worker to be re-scored.',
  ),
  refreshOldest: gauge('tandem_refresh_oldest_seconds', 'Age of the oldest entry in the refresh queue.'),
  refreshDropped: counter(
    'tandem_refresh_dropped_total',
    'Users who were not re-scored, by reason: the queue was full, the deadline passed, or a pass could not begin.',
    ['why'],
  ),
  refreshUsers: countSeries('tandem_refresh_users_total', 'Users taken from the refresh queue, by result.', [
    'predictor',
    'outcome',
  ]),
  refreshLag: timerSeries(
    'tandem_refresh_lag_seconds',
    'Time from the acceptance of an event until a re-scoring stored the answer computed from it.',
    LAG_BUCKETS,
    ['predictor'],
  ),
  refreshCpu: counter('tandem_refresh_cpu_seconds_total', 'Processor time of models in re-scorings.'),
  refreshHits: countSeries('tandem_refresh_hits_total', 'Reads answered from a re-scored prediction.', ['predictor']),

  // Kept explanations: the served answers of sampled users, by result.
  keptExplanations: countSeries(
    'tandem_kept_explanations_total',
    'Served answers of sampled users, by result: kept, or the reason why not.',
    ['predictor', 'outcome'],
  ),
  explanationsWaiting: gauge('tandem_explanations_waiting', 'Served answers waiting to be kept.'),

  // The stores as a process sees them, and its warnings.
  onlineStoreUp: gauge(
    'tandem_online_store_up',
    '1 while commands are sent to the cache; 0 while it is disconnected or its circuit is open.',
  ),
  poolConnections: gauge('tandem_postgres_connections', 'Connections to Postgres by pool: in use or idle.', [
    'pool',
    'state',
  ]),
  poolWaiting: gauge('tandem_postgres_waiting', 'Callers waiting for a connection of the pool.', ['pool']),
  historyChanges: counter(
    'tandem_history_changes_total',
    "Changes of the database's history seen by this process: restores and failovers.",
  ),
  lostPasts: counter(
    'tandem_lost_pasts_total',
    'Labels of predictions above the version that Postgres certifies: a crash has lost their commits.',
  ),
  warnings: counter('tandem_log_warnings_total', 'Log events at warn and error, by event, counted at any LOG_LEVEL.', [
    'level',
    'event',
  ]),
};

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
  const registered = new Map<MetricTable, unknown>();
  function register<T extends MetricTable>(table: T): Registered<T> {
    const found = registered.get(table);
    if (found !== undefined) return found as Registered<T>;
    const metrics = Object.fromEntries(Object.entries(table).map(([name, create]) => [name, create(registry)]));
    registered.set(table, metrics);
    return metrics as Registered<T>;
  }
  const metrics = register(METRICS);
  // With a label, the series does not exist before its value is known; without labels it would be 0.
  metrics.desiredWorkers.remove();
  return {
    ...metrics,
    /** Returns the metrics of an extension's table. The first call registers them. */
    register,
    /** The content type of `exposition`. */
    contentType: registry.contentType,
    /** Returns all series in the Prometheus text format. */
    exposition: () => registry.metrics(),
  };
}

/** Declares metrics by name: functions that create them in a registry. */
export type MetricTable = Readonly<Record<string, (registry: Registry) => unknown>>;
/** The metrics of a table. */
export type Registered<T extends MetricTable> = { readonly [K in keyof T]: ReturnType<T[K]> };
