import { counter, countSeries, gauge, timerSeries } from '@tandem/telemetry/instruments';
import { LATENCY_BUCKETS } from '@tandem/telemetry/series';

export const metrics = {
  // Served reads during rollouts.
  servedFlushes: counter(
    'tandem_served_flushes_total',
    'Flushes of the counts and exposures of rollouts, by result; a failed flush is retried with the next.',
    ['outcome'],
  ),
  exposuresDropped: counter(
    'tandem_exposures_dropped_total',
    'First answers from an arm of a rollout that could not be recorded; retried at the next answer.',
  ),

  // Shadows: the results of comparisons with served answers, and their cost.
  shadowAnswers: countSeries(
    'tandem_shadow_answers_total',
    'Served answers of shadowed users, by result: compared, or the reason why not.',
    ['predictor', 'outcome'],
  ),
  shadowPasses: timerSeries(
    'tandem_shadow_pass_seconds',
    "Time to compute the candidate's answers for one pass of users, features included.",
    LATENCY_BUCKETS,
    ['predictor'],
  ),
  shadowCpu: counter('tandem_shadow_cpu_seconds_total', 'Processor time of candidate models in shadows.', [
    'predictor',
  ]),
  shadowProcessesEnded: counter(
    'tandem_shadow_processes_ended_total',
    'Inference processes of shadowed candidates that crashed or were ended. No read waits for these processes.',
    ['predictor'],
  ),
  shadowWaiting: gauge('tandem_shadow_waiting', "Served answers waiting to be compared with a shadow's."),
};
