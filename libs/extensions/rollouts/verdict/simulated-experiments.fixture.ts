/** Simulates experiments without an effect, with typical metrics of services. */
import { readFileSync } from 'node:fs';
import {
  addSamples,
  drawBinomial,
  drawNormal,
  drawSample,
  type Random,
  randomFrom,
} from '@tandem/experiment/distributions/draws.fixture';
import { logEvidenceOfDifference } from '../sequential/confidence-sequence.ts';
import { type ArmSample, balancedUsers, differenceOf, zOf } from '../sequential/effect.ts';
import { checkOutcome } from './outcome-check.ts';
import type { ArmFigures, OutcomeRule } from './rollout-figures.ts';

export const ALPHA = 0.05;
/** The parts of alpha of a default canary with one outcome: 4 guardrails in 4 steps. */
export const PARTS = 16;
/** The levels of proof of such a canary. */
export const CANARY_ALPHAS = { worse: ALPHA / PARTS, notWorse: ALPHA };

/** Draws the values of `users` new users of an arm. An effect of -0.1 makes the mean a tenth lower. */
export type DrawUsers = (random: Random, users: number, effect?: number) => ArmSample;

export interface SimulatedMetric {
  readonly name: string;
  readonly kind: OutcomeRule['kind'];
  readonly cap: number | null;
  readonly draw: DrawUsers;
}

const binary = (percent: number): SimulatedMetric => ({
  name: `binary, ${percent} %`,
  kind: 'binary',
  cap: null,
  draw: (random, users, effect = 0) => {
    const events = drawBinomial(random, users, (percent / 100) * (1 + effect));
    return { users, sum: events, sumOfSquares: events, largest: Math.min(1, events) };
  },
});

/** Returns revenue: this share of the users buys, for different values, each up to the cap. */
const revenue = (
  name: string,
  share: number,
  value: (random: Random) => number,
  cap: number | null = null,
): SimulatedMetric => ({
  name,
  kind: 'sum',
  cap,
  draw: (random, users, effect = 0) => {
    const buyers = drawBinomial(random, users, share);
    let [sum, sumOfSquares, largest] = [0, 0, 0];
    for (let buyer = 0; buyer < buyers; buyer++) {
      const worth = Math.min(value(random) * (1 + effect), cap ?? Number.POSITIVE_INFINITY);
      sum += worth;
      sumOfSquares += worth * worth;
      if (worth > largest) largest = worth;
    }
    return { users, sum, sumOfSquares, largest };
  },
});

/** Returns a sum with normal values, all far below the cap. */
const normalSum = (mean: number, deviation: number, cap: number): SimulatedMetric => ({
  name: `${mean} ± ${deviation}, cap ${cap}`,
  kind: 'sum',
  cap,
  draw: (random, users, effect = 0) => {
    return { ...drawSample(random, users, mean * (1 + effect), deviation), largest: mean + 3 * deviation };
  },
});

const lognormal = (random: Random) => Math.exp(1.5 * drawNormal(random));
const pareto = (random: Random) => random() ** (-1 / 2.2);

export const SIMULATED_METRICS: readonly SimulatedMetric[] = [
  ...[0.5, 2, 8].map(binary),
  ...[1, 8].map((percent) => revenue(`lognormal, ${percent} % buy`, percent / 100, lognormal)),
  ...[1, 8].map((percent) => revenue(`Pareto 2.2, ${percent} % buy`, percent / 100, pareto)),
  shopRevenue(),
];

/** Sums with heavy tails and no cap, whose largest value grows with the users. */
export function isUnbounded({ name, cap }: SimulatedMetric): boolean {
  return cap === null && /^(lognormal|Pareto)/.test(name);
}

/** Capped sums: rare values up to the cap, and values that never reach it. */
export const CAPPED_METRICS: readonly SimulatedMetric[] = [
  revenue('lognormal, 8 % buy, cap 20', 0.08, lognormal, 20),
  normalSum(10, 8, 500),
  normalSum(10, 8, 2_000),
];

/** Returns the spending of the shop's customers in four weeks of 1997 (apps/shop/data). */
function shopRevenue(): SimulatedMetric {
  const path = new URL('../../../../apps/shop/data/transactions.csv', import.meta.url);
  const rows = readFileSync(path, 'utf8').trim().split('\n').slice(1);
  const customers = new Set<string>();
  const spent = new Map<string, number>();
  for (const row of rows) {
    const [customer = '', date = '', , amount] = row.split(',');
    customers.add(customer);
    if (date >= '1997-10-01' && date < '1997-10-29') spent.set(customer, (spent.get(customer) ?? 0) + Number(amount));
  }
  const values = [...spent.values()];
  const pick = (random: Random) => values[Math.floor(random() * values.length)] ?? 0;
  return revenue('the shop’s own', values.length / customers.size, pick);
}

/** Returns ln of the evidence of a difference, as in reports and guardrails. */
export function evidenceOfDifference(stable: ArmSample, arm: ArmSample, alpha: number): number {
  const size = { users: balancedUsers(stable.users, arm.users), alpha };
  return logEvidenceOfDifference(zOf(differenceOf(stable, arm)), size);
}

export interface Simulation {
  readonly draw: DrawUsers;
  /** The arm's share of the users. */
  readonly share: number;
  readonly usersPerLook: number;
  readonly looks: number;
  readonly experiments: number;
  /** The true effect of the arm. */
  readonly effect?: number;
  readonly seed: number;
}

export const NO_USERS: ArmSample = { users: 0, sum: 0, sumOfSquares: 0 };

/** Calls `look` with the samples so far, look by look until it returns true, for one experiment after another. */
export function simulate(
  { draw, share, usersPerLook, looks, experiments, effect = 0, seed }: Simulation,
  look: (experiment: number, no: number, stable: ArmSample, arm: ArmSample) => boolean,
): void {
  const random = randomFrom(seed);
  for (let experiment = 0; experiment < experiments; experiment++) {
    let [stable, arm] = [NO_USERS, NO_USERS];
    for (let no = 1; no <= looks; no++) {
      const users = drawBinomial(random, usersPerLook, share);
      arm = addSamples(arm, draw(random, users, effect));
      stable = addSamples(stable, draw(random, usersPerLook - users));
      if (look(experiment, no, stable, arm)) break;
    }
  }
}

/** Returns the figures of an arm that has only this outcome. */
export function armWith(name: string, outcome: string, sample: ArmSample): ArmFigures {
  const { users } = sample;
  return {
    name,
    weight: 1,
    users,
    reads: users,
    errors: 0,
    slow: 0,
    sources: { batch: users },
    scores: [],
    outcomes: { [outcome]: sample },
  };
}

/** Returns the share of steps with these users that equally good arms pass, with 14 looks and 4 steps and guardrails. */
export function passedSteps(
  rule: OutcomeRule,
  draw: DrawUsers,
  { share, users, experiments }: { share: number; users: number; experiments: number },
): number {
  const passed = new Set<number>();
  const simulation = { draw, share, usersPerLook: Math.round(users / 14), looks: 14, experiments, seed: 6 };
  simulate(simulation, (experiment, _, stable, arm) => {
    const arms = [armWith('stable', rule.name, stable), armWith('b', rule.name, arm)] as const;
    if (checkOutcome(rule, 200, ...arms, CANARY_ALPHAS).state !== 'pass') return false;
    passed.add(experiment);
    return true;
  });
  return passed.size / experiments;
}

/** Returns the upper bound of a rate's 95 % interval (E. B. Wilson, 1927). */
export function upperBoundOf(count: number, trials: number): number {
  const z = 1.96;
  const rate = count / trials;
  const spread = z * Math.sqrt((rate * (1 - rate)) / trials + (z * z) / (4 * trials * trials));
  return (rate + (z * z) / (2 * trials) + spread) / (1 + (z * z) / trials);
}
