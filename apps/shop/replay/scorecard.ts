/**
 * Counts what a replay saw: where answers came from, how long they took, and how well they foretold what the customers
 * then did, against the answers that the night's batch alone would have given.
 */
import { createRandom } from './random.ts';

export type Occasion = 'daily' | 'after purchase';

export interface Reading {
  readonly day: string;
  readonly customerId: string;
  readonly occasion: Occasion;
  readonly source: 'batch' | 'live' | 'stale' | 'default';
  readonly score: number;
  /** What the day's generation says of the customer. */
  readonly batchScore: number;
  /** Whether the customer bought within the horizon after the day. */
  readonly bought: boolean;
}

/** A mean with the bounds of its 95 % bootstrap interval. */
export interface Interval {
  readonly mean: number;
  readonly low: number;
  readonly high: number;
}

export interface OccasionResult {
  readonly occasion: Occasion;
  readonly reads: number;
  readonly shares: Readonly<Record<Reading['source'], number>>;
  readonly logLoss: number;
  readonly batchLogLoss: number;
  /** Log-loss of the answers minus that of batch-only answers; below zero is better. */
  readonly change: Interval;
  /** The same among the reads that were not answered from the batch, or null where there were none. */
  readonly changeWhereLive: Interval | null;
}

/** A prediction of 0 or 1 that is wrong would cost infinitely much. */
const leastProbability = 1e-7;

export function logLoss(score: number, bought: boolean): number {
  const probability = Math.min(1 - leastProbability, Math.max(leastProbability, score));
  return -Math.log(bought ? probability : 1 - probability);
}

export function summarize(readings: readonly Reading[], occasion: Occasion, seed: number): OccasionResult {
  const ours = readings.filter((reading) => reading.occasion === occasion);
  const share = (source: Reading['source']) => ours.filter((reading) => reading.source === source).length / ours.length;
  const mean = (values: readonly number[]) => values.reduce((sum, value) => sum + value, 0) / values.length;
  const notBatch = ours.filter((reading) => reading.source !== 'batch');
  return {
    occasion,
    reads: ours.length,
    shares: { batch: share('batch'), live: share('live'), stale: share('stale'), default: share('default') },
    logLoss: mean(ours.map((reading) => logLoss(reading.score, reading.bought))),
    batchLogLoss: mean(ours.map((reading) => logLoss(reading.batchScore, reading.bought))),
    change: changeInterval(ours, seed),
    changeWhereLive: notBatch.length === 0 ? null : changeInterval(notBatch, seed),
  };
}

function changeInterval(readings: readonly Reading[], seed: number): Interval {
  const changes = readings.map(({ customerId, score, batchScore, bought }) => ({
    customerId,
    change: logLoss(score, bought) - logLoss(batchScore, bought),
  }));
  return meanChange(changes, seed);
}

/**
 * The mean change, of pairs, with a percentile bootstrap over customers: one customer's reads are not independent of each
 * other, so customers are drawn, with all of their reads.
 */
export function meanChange(
  changes: readonly { readonly customerId: string; readonly change: number }[],
  seed: number,
  resamples = 1_000,
): Interval {
  const customers = new Map<string, { sum: number; reads: number }>();
  for (const { customerId, change } of changes) {
    const customer = customers.get(customerId) ?? { sum: 0, reads: 0 };
    customer.sum += change;
    customer.reads++;
    customers.set(customerId, customer);
  }
  const drawn = [...customers.values()];
  const random = createRandom(seed);
  const means = Array.from({ length: resamples }, () =>
    meanOf(drawn.map(() => drawn[Math.floor(random() * drawn.length)])),
  );
  means.sort((a, b) => a - b);
  const at = (quantile: number) => means[Math.round(quantile * (means.length - 1))] ?? Number.NaN;
  return { mean: meanOf(drawn), low: at(0.025), high: at(0.975) };
}

function meanOf(customers: readonly ({ sum: number; reads: number } | undefined)[]): number {
  let sum = 0;
  let reads = 0;
  for (const customer of customers) {
    sum += customer?.sum ?? 0;
    reads += customer?.reads ?? 0;
  }
  return sum / reads;
}

/** The value below which a share of the values lies; NaN of none. */
export function quantile(values: readonly number[], share: number): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))] ?? Number.NaN;
}
