/** Metrics of re-scoring: who waits, what becomes of them, how soon, at what cost, and what reads have of it. */
import { Counter, Gauge, type Registry } from 'prom-client';
import { createCountSeries, createTimerSeries } from './series.ts';

/** Around the window of 2 s that is usual. */
const LAG_BUCKETS = [0.25, 0.5, 1, 1.5, 2, 3, 5, 10, 30, 60, 300];

export function refreshMetrics(registry: Registry) {
  return { ...queueMetrics([registry]), ...outcomeMetrics([registry]) };
}

function queueMetrics(registers: Registry[]) {
  return {
    refreshWaiting: new Gauge({
      name: 'tandem_refresh_waiting',
      help: 'Users whom events made stale and who wait in this worker to be re-scored.',
      registers,
    }),
    refreshOldest: new Gauge({
      name: 'tandem_refresh_oldest_seconds',
      help: 'Time for which the first of them has waited.',
      registers,
    }),
    refreshDropped: new Counter({
      name: 'tandem_refresh_dropped_total',
      help: 'Users who were not re-scored, by why: the queue was full, their turn came too late, or a pass could not begin.',
      labelNames: ['why'] as const,
      registers,
    }),
  };
}

function outcomeMetrics(registers: Registry[]) {
  return {
    refreshUsers: createCountSeries({
      name: 'tandem_refresh_users_total',
      help: 'Users whose turn came, by what became of them.',
      labelNames: ['predictor', 'outcome'] as const,
      registers,
    }),
    refreshLag: createTimerSeries({
      name: 'tandem_refresh_lag_seconds',
      help: 'Time from the acceptance of an event until the answer made of it was stored by a re-scoring.',
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
      help: 'Answers that a re-scoring had stored before the read.',
      labelNames: ['predictor'] as const,
      registers,
    }),
  };
}
