/**
 * A section of the benchmark, which measures figures and gives some of them a target. Sections run one after the other
 * on the same servers, so that each ratio compares measurements of one machine at one time.
 */
import type { BenchServers } from './service.ts';

export type Unit =
  | 'count'
  | 'ratio'
  | 'reads/s'
  | 'users/s'
  | 'rows/s'
  | 'events/s'
  | 'ms'
  | 's'
  | 'MB'
  | 'bytes'
  | 'µs';

export interface Figure {
  /** The name in the table, for example `cached read / HMGET`. */
  readonly name: string;
  /** The median of the rounds. */
  readonly value: number;
  readonly unit: Unit;
  /** The bound that the figure should meet. A figure without a target is for orientation. */
  readonly target?: Target;
  /** The value of each round, from the first measured one on. */
  readonly rounds?: readonly number[];
}

export type Target = { readonly least: number } | { readonly most: number };

export interface BenchOptions {
  /** Users of the sections that read. */
  readonly users: number;
  /** Users of the large run. */
  readonly manyUsers: number;
  readonly rounds: number;
  /** The length of the load in each round. */
  readonly seconds: number;
}

export interface Section {
  /** The name on the command line: `npm run bench -- --only reads`. */
  readonly name: string;
  measure(servers: BenchServers, options: BenchOptions, say: (line: string) => void): Promise<readonly Figure[]>;
}

/** Makes a figure from the values of its rounds. Its value is their median. */
export function figureOf(name: string, unit: Unit, rounds: readonly number[], target?: Target): Figure {
  return { name, value: median(rounds), unit, rounds, ...(target ? { target } : {}) };
}

/** Returns the median: for an even number of values, the mean of the middle two. */
export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  const [low = Number.NaN, high = Number.NaN] = [sorted[sorted.length % 2 ? middle : middle - 1], sorted[middle]];
  return (low + high) / 2;
}
