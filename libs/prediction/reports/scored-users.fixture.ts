/** Draws two generations of scores of the same users and compares them, for simulations of thresholds. */
import { drawBinomial, drawNormal, type Random } from '@tandem/experiment/distributions/draws.fixture';
import { classEnds } from './distribution.ts';
import type { ReportFigures } from './generation-report.ts';
import { FlipTally, ShiftTally, UserTally } from './tally.ts';

/** Distributions of scores, as functions of a standard normal number. */
export const DISTRIBUTIONS = {
  normal: (z: number) => z,
  lognormal: (z: number) => Math.exp(1.5 * z),
  bimodal: (z: number) => (z < 0.4 ? z * 0.3 : 5 + z * 0.3),
  'three values': (z: number) => (z < -0.5 ? 0 : z < 1 ? 0.5 : 1),
  'five values': (z: number) => Math.max(-2, Math.min(2, Math.round(z))),
  'nearly constant': (z: number) => (z > 2 ? z : 0.1),
} as const;

export interface ScoredUsers {
  readonly users: number;
  /** The correlation of a user's normal numbers before and now. */
  readonly correlation: number;
  /** The share of users who are gone, and replaced by new users. */
  readonly turnover: number;
  readonly of: keyof typeof DISTRIBUTIONS;
  /** The mean of the normal numbers now; their deviation is 1. */
  readonly shift?: number;
}

/** Calls `take` for each user with the score before and the score now; null if the user is not in the generation. */
export function drawScores(
  random: Random,
  { users, correlation, turnover, of, shift = 0 }: ScoredUsers,
  take: (before: number | null, now: number | null) => void,
): void {
  const scoreOf = DISTRIBUTIONS[of];
  const noise = Math.sqrt(1 - correlation ** 2);
  const staying = Math.round(users * (1 - turnover));
  for (let i = 0; i < users; i++) {
    const z = drawNormal(random);
    if (i < staying) take(scoreOf(z), scoreOf(correlation * z + noise * drawNormal(random) + shift));
    else {
      take(scoreOf(z), null);
      take(null, scoreOf(drawNormal(random) + shift));
    }
  }
}

/** Returns the figures of the comparison. Decisions flip at a score of 1; `first` knows the users before by class. */
export function drawFigures(random: Random, scored: ScoredUsers): ReportFigures {
  const scores: (readonly [number | null, number | null])[] = [];
  drawScores(random, scored, (before, now) => scores.push([before, now]));
  const sample = scores.flatMap(([before]) => (before === null ? [] : [before])).slice(0, 20_000);
  const ends = classEnds(Float64Array.from(sample));
  const known = new ShiftTally(ends);
  for (const [before] of scores) if (before !== null) known.add(true, before, false, 0);
  const [tally, users, flips] = [new ShiftTally(ends, known.classesBefore()), new UserTally(), new FlipTally()];
  for (const [before, now] of scores) {
    users.add(before !== null, now !== null);
    tally.add(before !== null, before ?? 0, now !== null, now ?? 0);
    if (before !== null && now !== null) flips.add(before >= 1, now >= 1);
  }
  const decision = { output: 'score', threshold: 1, ...flips.flips() };
  const outputs = [{ name: 'score', ...tally.shift() }];
  return { users: users.coverage(), outputs, answers: [], decision, segments: [] };
}

/** Returns the figures of a comparison of users who leave independently, without any other figure. */
export function drawCoverage(random: Random, users: number, loss: number): ReportFigures {
  const gone = drawBinomial(random, users, loss);
  const coverage = { before: users, now: users - gone, both: users - gone, added: 0, gone };
  return { users: coverage, outputs: [], answers: [], decision: null, segments: [] };
}
