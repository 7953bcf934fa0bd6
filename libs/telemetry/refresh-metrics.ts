/** Metrics of re-scoring: users waiting, results, delays, cost, and reads that were answered from it. */
import { Counter, Gauge, type Registry } from 'prom-client';
import { createCountSeries, createTimerSeries } from './series.ts';

/** Buckets in seconds, around the usual window of 2 s. */
const LAG_BUCKETS = [0.25, 0.5, 1, 1.5, 2, 3, 5, 10, 30, 60, 300];

export function refreshMetrics(registry: Registry) {
  return { ...queueMetrics([registry]), ...outcomeMetrics([registry]) };
}

function queueMetrics(registers: Registry[]) {
  return {
    refreshWaiting: new Gauge({
      name: 'tandem_refresh_waiting',
      help: 'Users made stale by events who wait in this worker to be re-scored.',
      registers,
    }),
    refreshOldest: new Gauge({
      name: 'tandem_refresh_oldest_seconds',
      help: 'Age of the oldest entry in the refresh queue.',
      registers,
    }),
    refreshDropped: new Counter({
      name: 'tandem_refresh_dropped_total',
      help: 'Users who were not re-scored, by reason: the queue was full, the deadline passed, or a pass could not begin.',
      labelNames: ['why'] as const,
      registers,
    }),
  };
}

function outcomeMetrics(registers: Registry[]) {
  return {
    refreshUsers: createCountSeries({
      name: 'tandem_refresh_users_total',
      help: 'Users taken from the refresh queue, by result.',
      labelNames: ['predictor', 'outcome'] as const,
      registers,
    }),
    refreshLag: createTimerSeries({
      name: 'tandem_refresh_lag_seconds',
      help: 'Time from the acceptance of an event until a re-scoring stored the answer computed from it.',
      labelNames: ['predictor'] as const,
      buckets: LAG_BUCKETS,
      registers,
    }),
    refreshCpu: new Counter({
      name: 'tandem_refresh_cpu_seconds_total',
      help: 'Processor time of models in re-scorings.',
      registers,
    }),
    refreshHits: createCountSeries({
      name: 'tandem_refresh_hits_total',
      help: 'Reads answered from a re-scored prediction.',
      labelNames: ['predictor'] as const,
      registers,
    }),
  };
}
