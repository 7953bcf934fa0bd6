/**
 * Measures the cost of two models in rounds. In each round both score the same users, alone and together, in
 * alternating order. The child measures the time of a run, and a round counts the median, so that an interrupted run
 * does not distort it. CPU time is not used, since some kernels count it in steps of 10 ms, in which a thousand users
 * are scored.
 */
import { TandemError } from '@tandem/freshness/errors';
import type { TrialRuns } from './trial-runs.ts';

export type Paces = Awaited<ReturnType<typeof comparePaces>>;

/** Microseconds of a run for each user, the median of the rounds. */
interface Pace {
  readonly parentUs: number;
  readonly buildUs: number;
  /** The speed of the build relative to its parent; above 1, the build is faster. */
  readonly speedup: Spread;
}

/** The ratios of the rounds: the median, a lower bound of 9 of 10 rounds, and an upper bound of 9 of 10. */
interface Spread {
  readonly median: number;
  readonly low: number;
  readonly high: number;
}

type Sides = readonly [parent: TrialRuns, build: TrialRuns];

/** The milliseconds of a round for each user. */
type Round = readonly [parent: number, build: number];

const LEAST_ROUNDS = 3;
const MOST_ROUNDS = 25;
/** The runs of each side in a round. */
const RUNS_ALONE = 31;
const RUNS_TOGETHER = 5;

/**
 * Measures the paces. Rejects if a model no longer answers these users.
 * @param rows users that both models answer; at least one
 * @param together the users of a run of many. If there are fewer users, they are repeated
 */
export async function comparePaces(
  sides: Sides,
  rows: readonly number[],
  { together, budgetMs }: { readonly together: number; readonly budgetMs: number },
) {
  const single = takeAround(rows, RUNS_ALONE).map((row) => [row]);
  const many = Array.from({ length: RUNS_TOGETHER }, () => takeAround(rows, together));
  const [alone, batch]: [Round[], Round[]] = [[], []];
  const begin = performance.now();
  // The first round allocates memory that later rounds reuse, and is not counted.
  for (let round = -1; round < LEAST_ROUNDS || isGoingOn(round, performance.now() - begin, budgetMs); round++) {
    const isSwapped = round % 2 !== 0;
    const [one, all] = [await takeTurns(sides, single, isSwapped), await takeTurns(sides, many, isSwapped)];
    if (round < 0) continue;
    alone.push(one);
    batch.push(all);
  }
  return { rounds: alone.length, alone: paceOf(alone), together: { users: together, ...paceOf(batch) } };
}

function isGoingOn(round: number, spentMs: number, budgetMs: number): boolean {
  return round < MOST_ROUNDS && spentMs < budgetMs;
}

function takeAround(rows: readonly number[], count: number): readonly number[] {
  return Array.from({ length: count }, (_, i) => rows[i % rows.length] ?? 0);
}

/** Runs each question with both models, one after the other. */
async function takeTurns(
  [parent, build]: Sides,
  questions: readonly (readonly number[])[],
  isSwapped: boolean,
): Promise<Round> {
  const [ours, theirs]: [number[], number[]] = [[], []];
  const turns = [
    async (rows: readonly number[]) => void ours.push(await msAUser(parent, rows)),
    async (rows: readonly number[]) => void theirs.push(await msAUser(build, rows)),
  ];
  if (isSwapped) turns.reverse();
  for (const rows of questions) for (const turn of turns) await turn(rows);
  return [quantile(ours, 0.5), quantile(theirs, 0.5)];
}

async function msAUser(runs: TrialRuns, rows: readonly number[]): Promise<number> {
  const run = await runs.ask(rows);
  if (run.fault === null) return run.ms / rows.length;
  throw new TandemError('model_refused', `A model failed for rows that it had answered before: ${run.fault}.`, {
    field: 'version',
    remedy: 'export the model so that it gives the same answer each time',
  });
}

function paceOf(rounds: readonly Round[]): Pace {
  const ratios = rounds.map(([parent, build]) => parent / build);
  const medianUs = (side: 0 | 1) =>
    quantile(
      rounds.map((round) => round[side]),
      0.5,
    ) * 1000;
  return {
    parentUs: medianUs(0),
    buildUs: medianUs(1),
    speedup: { median: quantile(ratios, 0.5), low: quantile(ratios, 0.1), high: quantile(ratios, 0.9) },
  };
}

function quantile(values: readonly number[], share: number): number {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.round((sorted.length - 1) * share)] ?? 0;
}
