/** Metrics of shadows: what becomes of served answers beside them, and what they take. */
import { Counter, Gauge, type Registry } from 'prom-client';
import { createCountSeries, createTimerSeries, LATENCY_BUCKETS } from './series.ts';

export function shadowMetrics(registry: Registry) {
  const registers = [registry];
  return {
    shadowAnswers: createCountSeries({
      name: 'tandem_shadow_answers_total',
      help: 'Served answers of users who are shadowed, by what became of them: compared, or why not.',
      labelNames: ['predictor', 'outcome'] as const,
      registers,
    }),
    shadowPasses: createTimerSeries({
      name: 'tandem_shadow_pass_seconds',
      help: 'Time to compute what the candidate would have answered to the users of a moment, features included.',
      labelNames: ['predictor'] as const,
      buckets: LATENCY_BUCKETS,
      registers,
    }),
    shadowCpu: new Counter({
      name: 'tandem_shadow_cpu_seconds_total',
      help: 'Processor time of candidate models in shadows.',
      labelNames: ['predictor'] as const,
      registers,
    }),
    shadowProcessesEnded: new Counter({
      name: 'tandem_shadow_processes_ended_total',
      help: 'Processes of candidate models in shadows that ended by themselves or were ended; nobody waited for them.',
      labelNames: ['predictor'] as const,
      registers,
    }),
    shadowWaiting: new Gauge({
      name: 'tandem_shadow_waiting',
      help: 'Served answers that wait to be compared with those of a shadow.',
      registers,
    }),
  };
}
