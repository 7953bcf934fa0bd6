/** Computes the quality of answers by the age of the context that they were computed from. */
import {
  addRead,
  type Estimate,
  estimate,
  meanOf,
  newUserSums,
  type UserSums,
} from '@tandem/experiment/value/user-bootstrap';

const MINUTE_MS = 60_000;
const HOUR_MS = 60 * MINUTE_MS;
/** The lower bounds of the bins in ms. */
const BINS = [0, MINUTE_MS, 10 * MINUTE_MS, HOUR_MS, 6 * HOUR_MS, 24 * HOUR_MS, 7 * 24 * HOUR_MS];
/** The least number of users for an interval: with fewer users it would be too narrow. */
export const LEAST_USERS = 20;
const RESAMPLES = 500;

/** The figures of answers whose context has an age in one bin. */
export interface AgeFigures {
  readonly fromMs: number;
  /** The exclusive upper bound; null if there is none. */
  readonly toMs: number | null;
  readonly answers: number;
  readonly users: number;
  /** The quality of the answers; null if fewer than 20 users have answers of this age. */
  readonly quality: Estimate | null;
  /** The gain over live-only answers on the same reads; negative if worse. */
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

export function ageFigures(bins: readonly BinSums[], users: number, seed: number): AgeFigures[] {
  const statistics = bins.flatMap(({ quality, againstLive }) => [meanOf(quality), meanOf(againstLive)]);
  const estimates = estimate(statistics, { users, seed, resamples: RESAMPLES });
  return bins.flatMap(({ quality: { counts } }, i) => {
    const answers = counts.reduce((sum, one) => sum + one, 0);
    const withAnswers = counts.reduce((sum, one) => sum + (one > 0 ? 1 : 0), 0);
    if (answers === 0) return [];
    const told = (figure: Estimate | undefined) => (withAnswers < LEAST_USERS ? null : (figure ?? null));
    return [
      {
        ...{ fromMs: BINS[i] as number, toMs: BINS[i + 1] ?? null, answers, users: withAnswers },
        ...{ quality: told(estimates[2 * i]), againstLive: told(estimates[2 * i + 1]) },
      },
    ];
  });
}
