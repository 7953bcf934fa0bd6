/** Metrics of events: what became of them, and how long it takes until they show. */
import { Counter, type Registry } from 'prom-client';
import { createTimerSeries, DELAY_BUCKETS, LATENCY_BUCKETS } from './series.ts';

export function eventMetrics(registry: Registry) {
  return { ...eventCounters([registry]), ...eventTimers([registry]) };
}

function eventCounters(registers: Registry[]) {
  return {
    events: new Counter({
      name: 'tandem_events_total',
      help: 'Events received over HTTP, by what became of them: accepted, duplicate, erased or refused.',
      labelNames: ['outcome'] as const,
      registers,
    }),
    eventsIgnored: new Counter({
      name: 'tandem_events_with_ignored_values_total',
      help: 'Accepted events with values that no predictor takes; their acknowledgements name them.',
      registers,
    }),
    hintsFailed: new Counter({
      name: 'tandem_hints_failed_total',
      help: 'Version hints that Redis did not take; reads stay right without them.',
      registers,
    }),
  };
}

function eventTimers(registers: Registry[]) {
  return {
    eventAccept: createTimerSeries({
      name: 'tandem_event_accept_seconds',
      help: 'Time of the transaction that makes the events of one request durable.',
      labelNames: ['outcome'] as const,
      buckets: LATENCY_BUCKETS,
      registers,
    }),
    eventHint: createTimerSeries({
      name: 'tandem_event_hint_seconds',
      help: "Time from the commit of a request's events until Redis has their versions, or until nobody waits any more.",
      labelNames: ['outcome'] as const,
      buckets: LATENCY_BUCKETS,
      registers,
    }),
    eventVisible: createTimerSeries({
      name: 'tandem_event_visible_seconds',
      help: "Time from a user's last event until the first prediction made of it that was stored for the next read.",
      labelNames: ['predictor'] as const,
      buckets: DELAY_BUCKETS,
      registers,
    }),
  };
}
