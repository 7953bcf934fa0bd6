/** Metrics of re-scoring: users waiting, results, delays, cost, and reads that were answered from it. */
import type { Instruments } from './instruments.ts';

/** Buckets in seconds, around the usual window of 2 s. */
const LAG_BUCKETS = [0.25, 0.5, 1, 1.5, 2, 3, 5, 10, 30, 60, 300];

export const refreshMetrics = (metric: Instruments) => ({ ...queueMetrics(metric), ...outcomeMetrics(metric) });

const queueMetrics = (metric: Instruments) => ({
  refreshWaiting: metric.gauge(
    'tandem_refresh_waiting',
    'Users made stale by events who wait in this worker to be re-scored.',
  ),
  refreshOldest: metric.gauge('tandem_refresh_oldest_seconds', 'Age of the oldest entry in the refresh queue.'),
  refreshDropped: metric.counter(
    'tandem_refresh_dropped_total',
    'Users who were not re-scored, by reason: the queue was full, the deadline passed, or a pass could not begin.',
    ['why'],
  ),
});

const outcomeMetrics = (metric: Instruments) => ({
  refreshUsers: metric.countSeries('tandem_refresh_users_total', 'Users taken from the refresh queue, by result.', [
    'predictor',
    'outcome',
  ]),
  refreshLag: metric.timerSeries(
    'tandem_refresh_lag_seconds',
    'Time from the acceptance of an event until a re-scoring stored the answer computed from it.',
    LAG_BUCKETS,
    ['predictor'],
  ),
  refreshCpu: metric.counter('tandem_refresh_cpu_seconds_total', 'Processor time of models in re-scorings.'),
  refreshHits: metric.countSeries('tandem_refresh_hits_total', 'Reads answered from a re-scored prediction.', [
    'predictor',
  ]),
});
