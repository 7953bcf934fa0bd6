/**
 * The product's metrics, in a separate registry. Labels have few values, such as predictors, states and reasons. Ids,
 * users and error texts belong in the log.
 */
import { collectDefaultMetrics, Registry } from 'prom-client';
import { Instruments } from './instruments.ts';
import { modelMetrics } from './model-metrics.ts';
import { refreshMetrics } from './refresh-metrics.ts';
import { runMetrics } from './run-metrics.ts';
import { DELAY_BUCKETS, LATENCY_BUCKETS, USER_BUCKETS } from './series.ts';
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
  const metric = new Instruments(registry);
  if (processMetrics) collectDefaultMetrics({ register: registry, eventLoopMonitoringPrecision: 10 });
  return {
    ...readMetrics(metric),
    ...latencyMetrics(metric),
    ...inferenceMetrics(metric),
    ...modelMetrics(metric),
    ...eventMetrics(metric),
    ...outcomeMetrics(metric),
    ...runMetrics(metric),
    ...refreshMetrics(metric),
    ...shadowMetrics(metric),
    ...explanationMetrics(metric),
    ...storeMetrics(metric),
    /** The content type of `exposition`. */
    contentType: registry.contentType,
    /** Returns all series in the Prometheus text format. */
    exposition: () => registry.metrics(),
  };
}

const readMetrics = (metric: Instruments) => ({
  predictions: metric.countSeries('tandem_predictions_total', 'Predictions served, by source and reason.', [
    'predictor',
    'source',
    'reason',
  ]),
  predictionErrors: metric.counter(
    'tandem_prediction_errors_total',
    'Reads answered with an error instead of a prediction.',
    ['predictor', 'code'],
  ),
  requestPredictions: metric.counter(
    'tandem_request_predictions_total',
    'Predictions served to calls with request features, by source and reason.',
    ['predictor', 'source', 'reason'],
  ),
  rankedCandidates: metric.counter('tandem_ranked_candidates_total', 'Candidates of rankings.', ['predictor']),
  rememberedPredictions: metric.gauge('tandem_held_predictions', 'Predictions held in the memory of this process.'),
  overlayWritesDropped: metric.counter(
    'tandem_overlay_writes_dropped_total',
    'Live predictions that were served but could not be stored for the next read.',
  ),
});

const latencyMetrics = (metric: Instruments) => ({
  httpRequests: metric.timerSeries(
    'tandem_http_request_seconds',
    'Time to answer an HTTP request, by route pattern.',
    LATENCY_BUCKETS,
    ['method', 'route', 'status'],
  ),
  httpProblems: metric.counter(
    'tandem_http_problems_total',
    'Requests answered with a problem, by route pattern and the code of the problem.',
    ['route', 'status', 'code'],
  ),
  authority: metric.timerSeries(
    'tandem_authority_seconds',
    'Time of the Postgres statement that certifies reads.',
    LATENCY_BUCKETS,
    ['outcome'],
  ),
  authorityUsers: metric.timerSeries('tandem_authority_users', 'Users certified by one statement.', USER_BUCKETS),
  onlineLookup: metric.timerSeries(
    'tandem_online_lookup_seconds',
    'Time to find stored predictions in Redis.',
    LATENCY_BUCKETS,
    ['outcome'],
  ),
});

const inferenceMetrics = (metric: Instruments) => ({
  liveInference: metric.timerSeries(
    'tandem_live_inference_seconds',
    'Time of live inference for a read, features included.',
    LATENCY_BUCKETS,
    ['predictor', 'outcome'],
  ),
  inferenceQueueDepth: metric.gauge('tandem_inference_queue_depth', 'Requests waiting for an inference process.', [
    'priority',
  ]),
  inferenceSaturation: metric.gauge(
    'tandem_inference_saturation_ratio',
    'Share of inference processes at work, from 0 (all idle) to 1 (all busy).',
  ),
  inferenceRestarts: metric.counter(
    'tandem_inference_restarts_total',
    'Inference processes that were replaced, by reason.',
    ['why'],
  ),
});

/** Registers the metrics of the stores as a process sees them, and of its warnings. */
const storeMetrics = (metric: Instruments) => ({
  onlineStoreUp: metric.gauge(
    'tandem_online_store_up',
    '1 while commands are sent to the cache; 0 while it is disconnected or its circuit is open.',
  ),
  poolConnections: metric.gauge('tandem_postgres_connections', 'Connections to Postgres by pool: in use or idle.', [
    'pool',
    'state',
  ]),
  poolWaiting: metric.gauge('tandem_postgres_waiting', 'Callers waiting for a connection of the pool.', ['pool']),
  historyChanges: metric.counter(
    'tandem_history_changes_total',
    "Changes of the database's history seen by this process: restores and failovers.",
  ),
  lostPasts: metric.counter(
    'tandem_lost_pasts_total',
    'Labels of predictions above the version that Postgres certifies: a crash has lost their commits.',
  ),
  warnings: metric.counter(
    'tandem_log_warnings_total',
    'Log events at warn and error, by event, counted at any LOG_LEVEL.',
    ['level', 'event'],
  ),
});

/** Registers the metrics of kept explanations: the served answers of sampled users, by result. */
const explanationMetrics = (metric: Instruments) => ({
  keptExplanations: metric.countSeries(
    'tandem_kept_explanations_total',
    'Served answers of sampled users, by result: kept, or the reason why not.',
    ['predictor', 'outcome'],
  ),
  explanationsWaiting: metric.gauge('tandem_explanations_waiting', 'Served answers waiting to be kept.'),
});

/** Registers the metrics of served reads during rollouts, and of their outcomes. */
const outcomeMetrics = (metric: Instruments) => ({
  outcomes: metric.counter(
    'tandem_outcomes_total',
    'Outcomes received, by result: accepted, duplicate, erased or refused.',
    ['outcome'],
  ),
  servedFlushes: metric.counter(
    'tandem_served_flushes_total',
    'Flushes of the counts and exposures of rollouts, by result; a failed flush is retried with the next.',
    ['outcome'],
  ),
  exposuresDropped: metric.counter(
    'tandem_exposures_dropped_total',
    'First answers from an arm of a rollout that could not be recorded; retried at the next answer.',
  ),
  readCountsDropped: metric.counter(
    'tandem_read_counts_dropped_total',
    'Users whose read counts since the last flush were lost: too many users were read, or Postgres rejected the flush.',
  ),
});

// Metrics of events: their results, and the time until predictions reflect them.

const eventMetrics = (metric: Instruments) => ({ ...eventCounters(metric), ...eventTimers(metric) });

const eventCounters = (metric: Instruments) => ({
  events: metric.counter(
    'tandem_events_total',
    'Events received over HTTP, by result: accepted, duplicate, erased or refused.',
    ['outcome'],
  ),
  eventsIgnored: metric.counter(
    'tandem_events_with_ignored_values_total',
    'Accepted events with values that no predictor uses. The acknowledgement names the values.',
  ),
  hintsFailed: metric.counter(
    'tandem_hints_failed_total',
    'Version hints that Redis rejected. Reads stay correct without them.',
  ),
});

const eventTimers = (metric: Instruments) => ({
  eventAccept: metric.timerSeries(
    'tandem_event_accept_seconds',
    'Time of the transaction that makes the events of one request durable.',
    LATENCY_BUCKETS,
    ['outcome'],
  ),
  eventHint: metric.timerSeries(
    'tandem_event_hint_seconds',
    "Time from the commit of a request's events until Redis has their versions, or until the wait times out.",
    LATENCY_BUCKETS,
    ['outcome'],
  ),
  eventVisible: metric.timerSeries(
    'tandem_event_visible_seconds',
    "Time from a user's last event until the first prediction computed from it was stored.",
    DELAY_BUCKETS,
    ['predictor'],
  ),
});
