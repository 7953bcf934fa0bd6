/** Metrics of shadows: the results of comparisons with served answers, and their cost. */
import type { Instruments } from './instruments.ts';
import { LATENCY_BUCKETS } from './series.ts';

export const shadowMetrics = (metric: Instruments) => ({
  shadowAnswers: metric.countSeries(
    'tandem_shadow_answers_total',
    'Served answers of shadowed users, by result: compared, or the reason why not.',
    ['predictor', 'outcome'],
  ),
  shadowPasses: metric.timerSeries(
    'tandem_shadow_pass_seconds',
    "Time to compute the candidate's answers for one pass of users, features included.",
    LATENCY_BUCKETS,
    ['predictor'],
  ),
  shadowCpu: metric.counter('tandem_shadow_cpu_seconds_total', 'Processor time of candidate models in shadows.', [
    'predictor',
  ]),
  shadowProcessesEnded: metric.counter(
    'tandem_shadow_processes_ended_total',
    'Inference processes of shadowed candidates that crashed or were ended. No read waits for these processes.',
    ['predictor'],
  ),
  shadowWaiting: metric.gauge('tandem_shadow_waiting', "Served answers waiting to be compared with a shadow's."),
});
