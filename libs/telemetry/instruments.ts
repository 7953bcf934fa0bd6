import { Counter, Gauge, Histogram, type Registry } from 'prom-client';
import { createCountSeries, createTimerSeries } from './series.ts';

// Each function declares a metric by its name, its help, upper bounds in ascending order, and labels. The result creates
// the metric in a registry.

type Create<T> = (registry: Registry) => T;

export function counter<const L extends string = never>(
  name: string,
  help: string,
  labelNames: readonly L[] = [],
): Create<Counter<L>> {
  return (registry) => new Counter({ name, help, labelNames, registers: [registry] });
}

export function gauge<const L extends string = never>(
  name: string,
  help: string,
  labelNames: readonly L[] = [],
): Create<Gauge<L>> {
  return (registry) => new Gauge({ name, help, labelNames, registers: [registry] });
}

export function histogram<const L extends string>(
  name: string,
  help: string,
  buckets: number[],
  labelNames: readonly L[],
): Create<Histogram<L>> {
  return (registry) => new Histogram({ name, help, buckets, labelNames, registers: [registry] });
}

/** Declares a counter for the paths of every read. */
export function countSeries<const L extends string>(name: string, help: string, labelNames: readonly L[]) {
  return (registry: Registry) => createCountSeries({ name, help, labelNames, registry });
}

/** Declares a histogram for the paths of every read. */
export function timerSeries<const L extends string = never>(
  name: string,
  help: string,
  buckets: readonly number[],
  labelNames: readonly L[] = [],
) {
  return (registry: Registry) => createTimerSeries({ name, help, labelNames, buckets, registry });
}
