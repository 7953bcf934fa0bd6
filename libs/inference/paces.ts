/**
 * What two models cost, by turns: round after round each scores the same users alone and together, who goes first
 * changing with the round. CPU of the thread that runs them, which waiting for a busy machine does not lengthen.
 */
import { TandemError } from '@tandem/prediction/errors';
import type { TrialRuns } from './trial-runs.ts';

export interface Paces {
  readonly rounds: number;
  readonly alone: Pace;
  readonly together: Pace & { readonly users: number };
}

/** Microseconds of CPU a user, the median of the rounds. */
export interface Pace {
  readonly parentUs: number;
  readonly buildUs: number;
  /** How many times as fast as its parent the build is, above 1: faster. */
  readonly speedup: Spread;
}

/** Of the rounds' ratios: the median, and what nine rounds of ten lie above, and below. */
export interface Spread {
  readonly median: number;
  readonly low: number;
  readonly high: number;
}

export interface PaceOptions {
  /** Users of a run of many; where there are fewer, they are taken again. */
  readonly together: number;
  readonly budgetMs: number;
}

type Sides = readonly [parent: TrialRuns, build: TrialRuns];

const LEAST_ROUNDS = 3;
const MOST_ROUNDS = 25;
/** Runs of one user in a round: a single one is too short to tell. */
const RUNS_ALONE = 32;
const RUNS_TOGETHER = 2;

/** @param rows users whom both answer; at least one. Rejects where a model, having answered, does not any more. */
export async function comparePaces(
  sides: Sides,
  rows: readonly number[],
  { together, budgetMs }: PaceOptions,
): Promise<Paces> {
  const single = takeAround(rows, RUNS_ALONE);
  const many = takeAround(rows, together);
  const alone: [number[], number[]] = [[], []];
  const batch: [number[], number[]] = [[], []];
  const measure = async (side: 0 | 1) => {
    alone[side].push(
      (await cpuOf(
        sides[side],
        single.map((row) => [row]),
      )) / RUNS_ALONE,
    );
    const runs = Array.from({ length: RUNS_TOGETHER }, () => many);
    batch[side].push((await cpuOf(sides[side], runs)) / (RUNS_TOGETHER * together));
  };
  const begin = performance.now();
  // The first allocates what later ones use again, and is thrown away.
  let rounds = -1;
  for (; rounds < LEAST_ROUNDS || (rounds < MOST_ROUNDS && performance.now() - begin < budgetMs); rounds++) {
    if (rounds === 0) for (const list of [...alone, ...batch]) list.length = 0;
    for (const side of rounds % 2 === 0 ? ([0, 1] as const) : ([1, 0] as const)) await measure(side);
  }
  return { rounds, alone: paceOf(alone), together: { users: together, ...paceOf(batch) } };
}

function takeAround(rows: readonly number[], count: number): readonly number[] {
  return Array.from({ length: count }, (_, i) => rows[i % rows.length] ?? 0);
}

/** Milliseconds. */
async function cpuOf(runs: TrialRuns, questions: readonly (readonly number[])[]): Promise<number> {
  let sum = 0;
  for (const rows of questions) {
    const run = await runs.ask(rows);
    if (run.fault !== null) {
      throw new TandemError('model_refused', `A model did not answer again what it had answered: ${run.fault}.`, {
        field: 'version',
        remedy: 'see that it gives the same answer each time',
      });
    }
    sum += run.cpuMs;
  }
  return sum;
}

function paceOf([parent, build]: readonly [readonly number[], readonly number[]]): Pace {
  const ratios = parent.map((ms, round) => ms / Math.max(build[round] ?? 0, Number.MIN_VALUE));
  return {
    parentUs: quantile(parent, 0.5) * 1000,
    buildUs: quantile(build, 0.5) * 1000,
    speedup: { median: quantile(ratios, 0.5), low: quantile(ratios, 0.1), high: quantile(ratios, 0.9) },
  };
}

function quantile(values: readonly number[], share: number): number {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.round((sorted.length - 1) * share)] ?? 0;
}
