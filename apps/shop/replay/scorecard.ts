/**
 * Evaluates the reads of a replay: the sources of the answers, their latency, and how well they predicted the
 * purchases, compared with batch-only answers.
 */
import { logLoss } from '@tandem/experiment/estimates/log-loss';
import { addRead, type Estimate, estimate, meanOf, newUserSums } from '@tandem/experiment/estimates/user-bootstrap';

export type Occasion = 'daily' | 'after purchase';

export interface Reading {
  readonly day: string;
  readonly customerId: string;
  readonly occasion: Occasion;
  readonly source: 'batch' | 'live' | 'stale' | 'default';
  readonly score: number;
  /** The score of the customer in the generation of the day. */
  readonly batchScore: number;
  /** Whether the customer bought within the horizon after the day. */
  readonly bought: boolean;
}

export type OccasionResult = ReturnType<typeof summarize>;

export function summarize(readings: readonly Reading[], occasion: Occasion, seed: number) {
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
    /** Log-loss of the answers minus that of batch-only answers; below zero is better. */
    change: changeInterval(ours, seed),
    /** The same change among the reads that were not answered from the batch; null if there were none. */
    changeWhereLive: notBatch.length === 0 ? null : changeInterval(notBatch, seed),
  };
}

function changeInterval(readings: readonly Reading[], seed: number): Estimate {
  const changes = readings.map(({ customerId, score, batchScore, bought }) => ({
    customerId,
    change: logLoss(score, bought) - logLoss(batchScore, bought),
  }));
  return meanChange(changes, seed);
}

/**
 * Returns the mean change of pairs with a bootstrap over customers. The reads of one customer are not independent, so
 * customers are drawn with all of their reads. Without enough customers, the bounds are NaN.
 */
export function meanChange(
  changes: readonly { readonly customerId: string; readonly change: number }[],
  seed: number,
  resamples = 1_000,
): Estimate {
  const places = new Map<string, number>();
  for (const { customerId } of changes) if (!places.has(customerId)) places.set(customerId, places.size);
  const sums = newUserSums(places.size);
  for (const { customerId, change } of changes) addRead(sums, places.get(customerId) ?? 0, change);
  const [mean] = estimate([meanOf(sums)], { counts: sums.counts, seed, resamples });
  return mean ?? { value: Number.NaN, low: Number.NaN, high: Number.NaN };
}

/** Returns the value below which a share of the values lies; NaN without values. */
export function quantile(values: readonly number[], share: number): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))] ?? Number.NaN;
}
