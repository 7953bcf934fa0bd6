/** Measures how well predictions match outcomes: log-loss, area under the ROC curve, calibration, hit rate. */
import type { Statistic } from './user-bootstrap.ts';

/** The least distance of a probability from 0 and 1, since a wrong 0 or 1 would have an infinite log-loss. */
const LEAST_PROBABILITY = 1e-7;

/** Returns the log-loss: minus the logarithm of the probability that the score gave to the outcome. */
export function logLoss(score: number, happened: boolean): number {
  const probability = Math.min(1 - LEAST_PROBABILITY, Math.max(LEAST_PROBABILITY, score));
  return -Math.log(happened ? probability : 1 - probability);
}

/** Scored reads in parallel arrays; users are numbered from 0. */
export interface ScoredReads {
  readonly users: ArrayLike<number>;
  readonly scores: Float64Array;
  /** 1 if the outcome happened, else 0. */
  readonly outcomes: ArrayLike<number>;
}

/**
 * Returns a function for the area under the ROC curve: the probability that a read with the outcome has a higher score
 * than a read without it. Ties count as a half; NaN if one kind is missing. The reads are sorted once, and each draw
 * costs a few passes over them. The error is that of the infinitesimal jackknife over users, with a correction for users
 * with many reads.
 */
export function areaUnderCurve({ users, scores, outcomes }: ScoredReads): Statistic {
  const order = Uint32Array.from(scores, (_, read) => read).sort(
    (a, b) => (scores[a] as number) - (scores[b] as number),
  );
  const score = Float64Array.from(order, (read) => scores[read] as number);
  const user = Uint32Array.from(order, (read) => users[read] as number);
  const outcome = Uint8Array.from(order, (read) => outcomes[read] as number);
  return (weights) => {
    const sumOf = (kind: number) =>
      user.reduce((sum, of, i) => sum + (outcome[i] === kind ? (weights[of] ?? 0) : 0), 0);
    const [all, others] = [sumOf(1), sumOf(0)];
    const gains = new Float64Array(weights.length);
    const shares = new Float64Array(weights.length);
    let [below, above, area] = [0, all, 0];
    for (let from = 0; from < score.length; ) {
      let [yes, no, end] = [0, 0, from];
      for (; end < score.length && score[end] === score[from]; end++) {
        const weight = weights[user[end] as number] as number;
        if (outcome[end] === 1) yes += weight;
        else no += weight;
      }
      for (let at = from; at < end; at++) {
        const of = user[at] as number;
        const [won, size] = outcome[at] === 1 ? [below + no / 2, all] : [above - yes / 2, others];
        gains[of] = (gains[of] as number) + won / (all * others);
        shares[of] = (shares[of] as number) + 1 / size;
      }
      area += (yes * (below + no / 2)) / (all * others);
      below += no;
      above -= yes;
      from = end;
    }
    // The change of the area without a user, to the first order: of the pairs of its reads, and of their number.
    const changes = gains.map((gain, of) => (gain - area * (shares[of] as number)) / (1 - (shares[of] as number) / 2));
    return [area, Math.sqrt(changes.reduce((sum, change, of) => sum + (weights[of] ?? 0) * change ** 2, 0))];
  };
}

/** A bin of reads, by score. */
export interface CalibrationBin {
  readonly reads: number;
  readonly predicted: number;
  readonly observed: number;
}

/**
 * Returns ten bins with equal numbers of reads, by rising score: the mean prediction, and the share with the outcome.
 */
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

/** Returns the mean distance between prediction and outcome in the bins, weighted by reads. */
export function calibrationError(bins: readonly CalibrationBin[]): number {
  const reads = bins.reduce((sum, bin) => sum + bin.reads, 0);
  return bins.reduce((sum, bin) => sum + bin.reads * Math.abs(bin.predicted - bin.observed), 0) / reads;
}
