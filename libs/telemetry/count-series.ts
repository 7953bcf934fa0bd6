/**
 * A counter for the paths that every read takes: a series is found once and counts for itself, and prom-client, which
 * checks and hashes labels at each call, is told the sum when somebody asks.
 */
import { Counter, type Registry } from 'prom-client';

export interface Count {
  inc(by?: number): void;
}

export interface CountSeriesOptions<L extends string> {
  readonly name: string;
  readonly help: string;
  readonly labelNames: readonly L[];
  readonly registers: readonly Registry[];
}

export interface CountSeries<L extends string> {
  /** One series, made where it is not there yet; the same labels give the same one. */
  labels(labels: Readonly<Record<L, string>>): Count;
  inc(labels: Readonly<Record<L, string>>, by?: number): void;
}

class Cell<L extends string> implements Count {
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

export function createCountSeries<L extends string>(options: CountSeriesOptions<L>): CountSeries<L> {
  const { labelNames, registers, ...named } = options;
  const cells = new Map<string, Cell<L>>();
  const labels = (of: Readonly<Record<L, string>>): Count => {
    const key = JSON.stringify(labelNames.map((label) => of[label]));
    const known = cells.get(key);
    if (known) return known;
    const made = new Cell(of);
    cells.set(key, made);
    return made;
  };
  new Counter({
    ...named,
    labelNames: [...labelNames],
    registers: [...registers],
    collect() {
      for (const cell of cells.values()) this.inc(cell.labels, cell.takeUntold());
    },
  });
  return { labels, inc: (of, by) => labels(of).inc(by) };
}
