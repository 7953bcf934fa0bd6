/** Computes the quality of answers by the age of the context that they were computed from. */
import {
  addRead,
  type Estimate,
  estimate,
  meanOf,
  newUserSums,
  type UserSums,
} from '@tandem/experiment/estimates/user-bootstrap';

const MINUTE_MS = 60_000;
const HOUR_MS = 60 * MINUTE_MS;
/** The lower bounds of the bins in ms. */
const BINS = [0, MINUTE_MS, 10 * MINUTE_MS, HOUR_MS, 6 * HOUR_MS, 24 * HOUR_MS, 7 * 24 * HOUR_MS];
const RESAMPLES = 500;

/** The figures of answers whose context has an age in one bin. */
export interface AgeFigures {
  readonly fromMs: number;
  /** The exclusive upper bound; null if there is none. */
  readonly toMs: number | null;
  readonly answers: number;
  readonly users: number;
  /** The quality of the answers; null if there are not enough users with answers of this age. */
  readonly quality: Estimate | null;
  /** The gain over live-only answers on the same reads; negative if worse; null like the quality. */
  readonly againstLive: Estimate | null;
}

/** Answers in parallel arrays; users are numbered from 0. */
interface AgedAnswers {
  readonly users: Uint32Array;
  readonly ages: Float64Array;
  readonly quality: Float64Array;
  againstLive(answer: number): number;
}

interface BinSums {
  readonly quality: UserSums;
  readonly againstLive: UserSums;
}

/** Adds up the answers of all layers by bin and user. Users are numbered up to `users`. */
export function sumByAge(layers: readonly AgedAnswers[], users: number): BinSums[] {
  const bins = BINS.map(() => ({ quality: newUserSums(users), againstLive: newUserSums(users) }));
  for (const { users, ages, quality, againstLive } of layers) {
    users.forEach((user, answer) => {
      const age = ages[answer] as number;
      const bin = bins[BINS.findLastIndex((from) => age >= from)] as BinSums;
      addRead(bin.quality, user, quality[answer] as number);
      addRead(bin.againstLive, user, againstLive(answer));
    });
  }
  return bins;
}

/** Returns the figures of the bins that have answers, by rising age. The seed repeats their intervals. */
export function ageFigures(bins: readonly BinSums[], seed: number): AgeFigures[] {
  return bins.flatMap(({ quality, againstLive }, i) => {
    const { counts } = quality;
    const answers = counts.reduce((sum, one) => sum + one, 0);
    if (answers === 0) return [];
    const estimates = estimate([meanOf(quality), meanOf(againstLive)], { counts, seed, resamples: RESAMPLES });
    const told = (figure: Estimate | undefined) => (figure === undefined || Number.isNaN(figure.low) ? null : figure);
    return [
      {
        fromMs: BINS[i] as number,
        toMs: BINS[i + 1] ?? null,
        answers,
        users: counts.filter((one) => one > 0).length,
        quality: told(estimates[0]),
        againstLive: told(estimates[1]),
      },
    ];
  });
}
