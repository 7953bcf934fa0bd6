/** Metrics of what is served during rollouts, and of what came of it. */
import { Counter, type Registry } from 'prom-client';

export function outcomeMetrics(registry: Registry) {
  const registers = [registry];
  return {
    outcomes: new Counter({
      name: 'tandem_outcomes_total',
      help: 'Outcomes received, by what became of them: accepted, duplicate, erased or refused.',
      labelNames: ['outcome'] as const,
      registers,
    }),
    servedFlushes: new Counter({
      name: 'tandem_served_flushes_total',
      help: 'Times that the counts and exposures of rollouts were written down; what failed is tried again with the next.',
      labelNames: ['outcome'] as const,
      registers,
    }),
    exposuresDropped: new Counter({
      name: 'tandem_exposures_dropped_total',
      help: 'First answers from an arm of a rollout that could not be noted; each is tried again at the next answer.',
      registers,
    }),
  };
}
