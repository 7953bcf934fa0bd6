/** Measures how well predictions match outcomes: the area under the ROC curve, and calibration. */
import type { Statistic } from '@tandem/experiment/estimates/user-bootstrap';

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
 * costs a few passes over them. The error is that of the jackknife over users. It is exact, and NaN if one user has all
 * reads of a kind.
 */
export function areaUnderCurve(reads: ScoredReads): Statistic {
  const sorted = sortByScore(reads);
  const { users: user, scores: score, outcomes: outcome } = sorted;
  const { having, without, right: own } = countOwnReads(sorted);
  return (weights) => {
    const [all, others] = [weightedSum(having, weights), weightedSum(without, weights)];
    // The pairs in the right order that include a read of the user. The loop counts pairs of two own reads twice.
    const lost = own.map((pairs) => -pairs);
    let [below, above, right] = [0, all, 0];
    for (let from = 0; from < score.length; ) {
      let [yes, no, end] = [0, 0, from];
      for (; end < score.length && score[end] === score[from]; end++) {
        const weight = weights[user[end] as number] as number;
        if (outcome[end] === 1) yes += weight;
        else no += weight;
      }
      for (let at = from; at < end; at++) {
        const of = user[at] as number;
        lost[of] = (lost[of] as number) + (outcome[at] === 1 ? below + no / 2 : above - yes / 2);
      }
      right += yes * (below + no / 2);
      below += no;
      above -= yes;
      from = end;
    }
    const area = right / (all * others);
    const squares = lost.map((pairs, of) => {
      if (!weights[of]) return 0;
      const left = (all - (having[of] as number)) * (others - (without[of] as number));
      return ((right - pairs) / left - area) ** 2;
    });
    return [area, Math.sqrt(weightedSum(squares, weights))];
  };
}

/**
 * Counts the reads of each user alone: reads with the outcome, reads without it, and pairs of a read of each kind in
 * the right order, where ties count as a half. The reads are by rising score.
 */
function countOwnReads({ users, scores, outcomes }: ScoredReads) {
  const size = 1 + Array.from(users).reduce((most, user) => Math.max(most, user), -1);
  const [having, without, right] = [new Float64Array(size), new Float64Array(size), new Float64Array(size)];
  for (let from = 0; from < scores.length; ) {
    let end = from;
    while (end < scores.length && scores[end] === scores[from]) end++;
    // Half of a pair counts before the reads without the outcome are added, and half after it.
    const addHalves = () => {
      for (let at = from; at < end; at++) {
        const user = users[at] as number;
        if (outcomes[at] === 1) right[user] = (right[user] as number) + (without[user] as number) / 2;
      }
    };
    addHalves();
    for (let at = from; at < end; at++) {
      const [user, counts] = [users[at] as number, outcomes[at] === 1 ? having : without];
      counts[user] = (counts[user] as number) + 1;
    }
    addHalves();
    from = end;
  }
  return { having, without, right };
}

/** Returns the reads by rising score. */
function orderOf(scores: Float64Array): Uint32Array {
  return Uint32Array.from(scores, (_, read) => read).sort((a, b) => (scores[a] as number) - (scores[b] as number));
}

function sortByScore({ users, scores, outcomes }: ScoredReads): ScoredReads {
  const order = orderOf(scores);
  return {
    users: Uint32Array.from(order, (read) => users[read] as number),
    scores: Float64Array.from(order, (read) => scores[read] as number),
    outcomes: Uint8Array.from(order, (read) => outcomes[read] as number),
  };
}

function weightedSum(values: Float64Array, weights: ArrayLike<number>): number {
  return values.reduce((sum, value, of) => sum + value * (weights[of] ?? 0), 0);
}

/** A bin of reads, by score. */
interface CalibrationBin {
  readonly reads: number;
  readonly predicted: number;
  readonly observed: number;
}

/**
 * Returns ten bins with equal numbers of reads, by rising score: the mean prediction, and the share with the outcome.
 */
export function calibrationBins({ scores, outcomes }: ScoredReads): CalibrationBin[] {
  const order = orderOf(scores);
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
