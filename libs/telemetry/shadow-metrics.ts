/** Metrics of shadows: the results of comparisons with served answers, and their cost. */
import { Counter, Gauge, type Registry } from 'prom-client';
import { createCountSeries, createTimerSeries, LATENCY_BUCKETS } from './series.ts';

export function shadowMetrics(registry: Registry) {
  const registers = [registry];
  return {
    shadowAnswers: createCountSeries({
      name: 'tandem_shadow_answers_total',
      help: 'Served answers of shadowed users, by result: compared, or the reason why not.',
      labelNames: ['predictor', 'outcome'] as const,
      registers,
    }),
    shadowPasses: createTimerSeries({
      name: 'tandem_shadow_pass_seconds',
      help: "Time to compute the candidate's answers for one pass of users, features included.",
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
      help: 'Inference processes of shadowed candidates that crashed or were ended. No read waits for these processes.',
      labelNames: ['predictor'] as const,
      registers,
    }),
    shadowWaiting: new Gauge({
      name: 'tandem_shadow_waiting',
      help: "Served answers waiting to be compared with a shadow's.",
      registers,
    }),
  };
}
