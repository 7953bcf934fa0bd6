/**
 * A histogram for the paths that every read takes. prom-client checks and hashes a series' labels at each observation,
 * which took 2 % of the CPU of a cached read; here a series is found once and counts for itself. To the registry it is a
 * histogram like any other.
 */
import type { Histogram, Registry } from 'prom-client';

export interface Timer {
  observe(seconds: number): void;
}

export interface TimerSeriesOptions<L extends string> {
  readonly name: string;
  readonly help: string;
  readonly labelNames: readonly L[];
  /** Upper bounds, ascending, in seconds. */
  readonly buckets: readonly number[];
  readonly registers: readonly Registry[];
}

export interface TimerSeries<L extends string> {
  /** One series, made where it is not there yet; the same labels give the same one. */
  labels(labels: Readonly<Record<L, string>>): Timer;
  observe(labels: Readonly<Record<L, string>>, seconds: number): void;
}

class Cell implements Timer {
  readonly labels: Readonly<Record<string, string>>;
  /** Of each bound what is not above it but above the one before; at the end what is above all. */
  readonly counts: Float64Array;
  sum = 0;
  readonly #bounds: readonly number[];

  constructor(labels: Readonly<Record<string, string>>, bounds: readonly number[]) {
    this.labels = labels;
    this.#bounds = bounds;
    this.counts = new Float64Array(bounds.length + 1);
  }

  observe(seconds: number): void {
    const bounds = this.#bounds;
    let at = 0;
    while (at < bounds.length && seconds > (bounds[at] as number)) at++;
    this.counts[at] = (this.counts[at] ?? 0) + 1;
    this.sum += seconds;
  }
}

export function createTimerSeries<L extends string>(options: TimerSeriesOptions<L>): TimerSeries<L> {
  const { name, help, labelNames, buckets, registers } = options;
  const cells = new Map<string, Cell>();
  const labels = (of: Readonly<Record<L, string>>): Timer => {
    const key = JSON.stringify(labelNames.map((label) => of[label]));
    const known = cells.get(key);
    if (known) return known;
    const made = new Cell(of, buckets);
    cells.set(key, made);
    return made;
  };
  const metric = {
    name,
    help,
    type: 'histogram',
    aggregator: 'sum',
    async get() {
      return { name, help, type: 'histogram', aggregator: 'sum', values: [...cells.values()].flatMap(valuesOf) };
    },
    reset: () => cells.clear(),
  };
  const valuesOf = (cell: Cell) => {
    let upTo = 0;
    const bucket = (le: number | '+Inf', at: number) => {
      upTo += cell.counts[at] ?? 0;
      return { metricName: `${name}_bucket`, labels: { le }, sharedLabels: cell.labels, value: upTo };
    };
    const all = [...buckets.map(bucket), bucket('+Inf', buckets.length)];
    const part = (suffix: string, value: number) => ({
      metricName: `${name}_${suffix}`,
      labels: {},
      sharedLabels: cell.labels,
      value,
    });
    return [...all, part('sum', cell.sum), part('count', upTo)];
  };
  // The registry takes whatever has these members; its types name prom-client's own classes alone.
  for (const registry of registers) registry.registerMetric(metric as unknown as Histogram);
  return { labels, observe: (of, seconds) => labels(of).observe(seconds) };
}
