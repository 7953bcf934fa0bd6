/** How well predictions foretold outcomes: log-loss, area under the ROC curve, calibration, hit rate. */
import type { Statistic } from './user-bootstrap.ts';

/** A prediction of 0 or 1 that is wrong would cost infinitely much. */
const LEAST_PROBABILITY = 1e-7;

/** Returns minus the logarithm of the probability that the score gave to what happened. */
export function logLoss(score: number, happened: boolean): number {
  const probability = Math.min(1 - LEAST_PROBABILITY, Math.max(LEAST_PROBABILITY, score));
  return -Math.log(happened ? probability : 1 - probability);
}

/** Scored reads in parallel arrays; users are numbered from 0. */
export interface ScoredReads {
  readonly users: ArrayLike<number>;
  readonly scores: Float64Array;
  /** 1 where it happened. */
  readonly outcomes: ArrayLike<number>;
}

/**
 * Returns the area under the ROC curve: how often a read where it happened scored higher than one where it did not, ties as
 * a half; NaN without both. The reads are sorted once; a draw costs one pass over them.
 */
export function areaUnderCurve({ users, scores, outcomes }: ScoredReads): Statistic {
  const order = Uint32Array.from(scores, (_, read) => read).sort(
    (a, b) => (scores[a] as number) - (scores[b] as number),
  );
  const score = Float64Array.from(order, (read) => scores[read] as number);
  const user = Uint32Array.from(order, (read) => users[read] as number);
  const outcome = Uint8Array.from(order, (read) => outcomes[read] as number);
  return (weights) => {
    let [below, all, pairs] = [0, 0, 0];
    for (let from = 0; from < score.length; ) {
      let [yes, no, end] = [0, 0, from];
      for (; end < score.length && score[end] === score[from]; end++) {
        const weight = weights[user[end] as number] as number;
        if (outcome[end] === 1) yes += weight;
        else no += weight;
      }
      pairs += yes * (below + no / 2);
      below += no;
      all += yes;
      from = end;
    }
    return pairs / (below * all);
  };
}

/** The reads whose scores are between two tenths. */
export interface CalibrationBin {
  readonly reads: number;
  readonly predicted: number;
  readonly observed: number;
}

/** Returns ten bins of equal numbers of reads, by rising score: what was predicted on average, and how often it happened. */
export function calibrationBins({ scores, outcomes }: ScoredReads): CalibrationBin[] {
  const order = Uint32Array.from(scores, (_, read) => read).sort(
    (a, b) => (scores[a] as number) - (scores[b] as number),
  );
  return Array.from({ length: 10 }, (_, i) => {
    const part = order.subarray(Math.round((i * order.length) / 10), Math.round(((i + 1) * order.length) / 10));
    let [predicted, observed] = [0, 0];
    for (const read of part) {
      predicted += scores[read] as number;
      observed += outcomes[read] as number;
    }
    return { reads: part.length, predicted: predicted / part.length, observed: observed / part.length };
  }).filter(({ reads }) => reads > 0);
}

/** Returns the mean distance between what was predicted and what was observed in the bins, weighted by reads. */
export function calibrationError(bins: readonly CalibrationBin[]): number {
  const reads = bins.reduce((sum, bin) => sum + bin.reads, 0);
  return bins.reduce((sum, bin) => sum + bin.reads * Math.abs(bin.predicted - bin.observed), 0) / reads;
}
