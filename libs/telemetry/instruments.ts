import { Counter, Gauge, Histogram, type Registry } from 'prom-client';
import { type CountSeries, createCountSeries, createTimerSeries, type TimerSeries } from './series.ts';

/** Declares metrics in a registry: each method takes the name, the help, upper bounds in ascending order, and labels. */
export class Instruments {
  readonly #registers: Registry[];

  constructor(registry: Registry) {
    this.#registers = [registry];
  }

  counter<const L extends string = never>(name: string, help: string, labelNames: readonly L[] = []): Counter<L> {
    return new Counter({ name, help, labelNames, registers: this.#registers });
  }

  gauge<const L extends string = never>(name: string, help: string, labelNames: readonly L[] = []): Gauge<L> {
    return new Gauge({ name, help, labelNames, registers: this.#registers });
  }

  histogram<const L extends string>(name: string, help: string, buckets: number[], labelNames: readonly L[]) {
    return new Histogram({ name, help, buckets, labelNames, registers: this.#registers });
  }

  /** A counter for the paths of every read. */
  countSeries<const L extends string>(name: string, help: string, labelNames: readonly L[]): CountSeries<L> {
    return createCountSeries({ name, help, labelNames, registers: this.#registers });
  }

  /** A histogram for the paths of every read. */
  timerSeries<const L extends string = never>(
    name: string,
    help: string,
    buckets: readonly number[],
    labelNames: readonly L[] = [],
  ): TimerSeries<L> {
    return createTimerSeries({ name, help, buckets, labelNames, registers: this.#registers });
  }
}
