/** Compares plans with the true shares of simulated loads. */
import { estimateBudget } from './estimate-budget.ts';
import { groupRows, type Load, simulateReads, trueShares } from './simulated-reads.fixture.ts';

export interface ComparedPlans {
  /** Means over the repetitions that gave an estimate. */
  readonly estimate: number;
  readonly truth: number;
  readonly best: number;
  /** The share of the weights, by which users are chosen. */
  readonly ofWeights: number;
  readonly halfWidth: number;
  /** The mean error of the share of readers. */
  readonly readersError: number;
  /** The share of intervals that cover the true share. */
  readonly covered: number;
  /** The share of estimates within three points. */
  readonly near: number;
  /** The share of repetitions without an estimate. */
  readonly unknown: number;
}

/** Plans a budget of a share of the users for a load, with as many seeds as repetitions. */
export function planAgainst(load: Omit<Load, 'seed'>, share: number, repetitions: number): ComparedPlans {
  const sums = { estimate: 0, truth: 0, best: 0, ofWeights: 0, halfWidth: 0, readersError: 0, covered: 0, near: 0 };
  let known = 0;
  for (let seed = 1; seed <= repetitions; seed++) {
    const simulated = simulateReads({ ...load, seed: 7_919 * seed });
    const users = simulated.rows.length;
    const scored = Math.ceil(share * users);
    const plan = estimateBudget(scored, groupRows(simulated), { users, cpuMsPerUser: null, msPerUser: 1 });
    const { reads, readsInterval, readers } = plan;
    if (reads === null || readsInterval === null || readers === null) continue;
    const truth = trueShares(simulated, scored);
    known++;
    sums.estimate += reads;
    sums.truth += truth.reads;
    sums.best += truth.best;
    sums.ofWeights += truth.ofWeights;
    sums.halfWidth += (readsInterval.high - readsInterval.low) / 2;
    sums.readersError += readers - truth.readers;
    sums.covered += Number(truth.reads >= readsInterval.low && truth.reads <= readsInterval.high);
    sums.near += Number(Math.abs(reads - truth.reads) <= 0.03);
  }
  const mean = (key: keyof typeof sums) => sums[key] / known;
  return {
    estimate: mean('estimate'),
    truth: mean('truth'),
    best: mean('best'),
    ofWeights: mean('ofWeights'),
    halfWidth: mean('halfWidth'),
    readersError: mean('readersError'),
    covered: mean('covered'),
    near: mean('near'),
    unknown: 1 - known / repetitions,
  };
}
