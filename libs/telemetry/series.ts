/**
 * A counter for the paths of every read. prom-client checks and hashes the labels at each call. Here a series is looked
 * up once and counts by itself, and prom-client gets the sums at each scrape.
 */
import { Counter, type Histogram, type Registry } from 'prom-client';

export interface Count {
  inc(by?: number): void;
}

interface SeriesOptions<L extends string> {
  readonly name: string;
  readonly help: string;
  readonly labelNames: readonly L[];
  readonly registry: Registry;
}

export interface CountSeries<L extends string> {
  /** Returns the series with these labels, and creates it if it does not exist. */
  labels(labels: Readonly<Record<L, string>>): Count;
  inc(labels: Readonly<Record<L, string>>, by?: number): void;
}

/** Returns a map of series, and a function that returns the series of labels and creates it if it does not exist. */
function createCells<L extends string, T>(
  labelNames: readonly L[],
  create: (labels: Readonly<Record<L, string>>) => T,
) {
  const cells = new Map<string, T>();
  const labels = (of: Readonly<Record<L, string>>): T => {
    const key = JSON.stringify(labelNames.map((label) => of[label]));
    const known = cells.get(key);
    if (known) return known;
    const made = create(of);
    cells.set(key, made);
    return made;
  };
  return { cells, labels };
}

class CountCell<L extends string> implements Count {
  readonly labels: Readonly<Record<L, string>>;
  #untold = 0;

  constructor(labels: Readonly<Record<L, string>>) {
    this.labels = labels;
  }

  inc(by = 1): void {
    this.#untold += by;
  }

  takeUntold(): number {
    const untold = this.#untold;
    this.#untold = 0;
    return untold;
  }
}

export function createCountSeries<L extends string>(options: SeriesOptions<L>): CountSeries<L> {
  const { labelNames, registry, ...named } = options;
  const { cells, labels } = createCells(labelNames, (of) => new CountCell(of));
  new Counter({
    ...named,
    labelNames: [...labelNames],
    registers: [registry],
    collect() {
      for (const cell of cells.values()) this.inc(cell.labels, cell.takeUntold());
    },
  });
  return { labels, inc: (of, by) => labels(of).inc(by) };
}

/**
 * A histogram for the paths of every read. prom-client checks and hashes a series' labels at each observation, which
 * took 2 % of the CPU of a cached read. Here a series is looked up once and counts by itself. The registry exports it
 * like other histograms.
 */
interface Timer {
  observe(seconds: number): void;
}

interface TimerSeriesOptions<L extends string> extends SeriesOptions<L> {
  /** Upper bounds, ascending, in seconds. */
  readonly buckets: readonly number[];
}

export interface TimerSeries<L extends string> {
  /** Returns the series with these labels, and creates it if it does not exist. */
  labels(labels: Readonly<Record<L, string>>): Timer;
  observe(labels: Readonly<Record<L, string>>, seconds: number): void;
}

class TimerCell implements Timer {
  readonly labels: Readonly<Record<string, string>>;
  /**
   * Counts by bound: the values above the previous bound and up to this one. The last entry counts all greater values.
   */
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
  const { name, help, labelNames, buckets, registry } = options;
  const { cells, labels } = createCells(labelNames, (of) => new TimerCell(of, buckets));
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
  const valuesOf = (cell: TimerCell) => {
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
  // The registry accepts any object with these members, but its types allow only prom-client's own classes.
  registry.registerMetric(metric as unknown as Histogram);
  return { labels, observe: (of, seconds) => labels(of).observe(seconds) };
}

// The upper bounds of the histograms, ascending.

/** Seconds, from the 0.1 ms of a stored read to the longest time that a caller waits. */
export const LATENCY_BUCKETS = [
  0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5,
];
/** Seconds of a chunk, a job or a run. */
export const JOB_BUCKETS = [0.05, 0.25, 1, 5, 15, 60, 300, 900, 3600, 14_400];
/** Seconds from an event until its user is read, which may be the next click or days later. */
export const DELAY_BUCKETS = [0.01, 0.05, 0.25, 1, 5, 30, 300, 3600, 21_600, 86_400, 604_800];
/** The number of users of one statement. */
export const USER_BUCKETS = [1, 2, 4, 8, 16, 32, 64, 128, 256, 1024, 5000];
/** Seconds from an event until a re-scoring, around the usual window of 2 s. */
export const LAG_BUCKETS = [0.25, 0.5, 1, 1.5, 2, 3, 5, 10, 30, 60, 300];
