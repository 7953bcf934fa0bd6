/**
 * Tests the promise of docs/experiments.md for every split, metric, number of looks and `minUsers`: in at most 5 % of
 * experiments, an arm without an effect is ever found to have one. This test computes the table of that page.
 */
import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import {
  ALPHA,
  evidenceOfDifference,
  SIMULATED_METRICS,
  type SimulatedMetric,
  simulate,
  upperBoundOf,
} from '../verdict/simulated-experiments.fixture.ts';
import { logEvidenceAbove } from './confidence-sequence.ts';
import { balancedUsers, differenceOf, zOf } from './effect.ts';

const PROVEN = Math.log(1 / ALPHA);
const EXPERIMENTS = 2_000;
const MOST = 0.055;
const SHARES = [0.5, 0.1, 0.05, 0.01] as const;
const LOOKS = [28, 60] as const;
const MIN_USERS = [20, 200, 1_000] as const;
/**
 * Users per look: from a small service, whose arm of 1 % gets 1 user a day, to a service in which all arms exceed the
 * largest `minUsers`.
 */
const USERS_PER_LOOK = [100, 1_000, 5_000] as const;

/**
 * Returns, for each number of looks and `minUsers`, the share of experiments with an alarm at the size with the most
 * alarms.
 */
function alarmsOf({ draw }: SimulatedMetric, share: number): number[] {
  const most = LOOKS.flatMap(() => MIN_USERS.map(() => 0));
  for (const usersPerLook of USERS_PER_LOOK) {
    const alarmed = most.map(() => new Set<number>());
    const simulation = { draw, share, usersPerLook, looks: 60, experiments: EXPERIMENTS, seed: usersPerLook };
    simulate(simulation, (experiment, no, stable, arm) => {
      const users = Math.min(stable.users, arm.users);
      if (users < MIN_USERS[0] || evidenceOfDifference(stable, arm, ALPHA) < PROVEN) return false;
      const cells = LOOKS.flatMap((looks) => MIN_USERS.map((minUsers) => no <= looks && users >= minUsers));
      for (const [cell, counts] of cells.entries()) if (counts) alarmed[cell]?.add(experiment);
      // An alarm with the most users, within the fewest looks, counts in all columns, so the rest need not be
      // simulated.
      return cells.every(Boolean);
    });
    for (const [cell, { size }] of alarmed.entries()) most[cell] = Math.max(most[cell] ?? 0, size);
  }
  return most;
}

const percent = (share: number) => (100 * share).toFixed(1);
const splitOf = (share: number) => `${Math.round(100 - 100 * share)}/${Math.round(100 * share)}`;
const rowOf = (metric: string, share: number, alarms: readonly number[]) =>
  [metric, splitOf(share), ...alarms.map((count) => percent(upperBoundOf(count, EXPERIMENTS)))].join(' | ');

/** The page, from which `documented` takes the rows of the table, without the spaces that align them. */
const page = readFileSync(new URL('../../../../docs/experiments.md', import.meta.url), 'utf8');
const documented = page.split('\n').flatMap((line) => {
  const cells = line.split('|').slice(1, -1);
  return cells.length === 8 ? [cells.map((cell) => cell.trim()).join(' | ')] : [];
});

describe.each(SIMULATED_METRICS)('$name without an effect', (metric) => {
  it.each(SHARES)('is found to have one in at most 5 %, as in the docs, if the arm has %d of the users', (share) => {
    const alarms = alarmsOf(metric, share);
    for (const count of alarms) expect(upperBoundOf(count, EXPERIMENTS)).toBeLessThanOrEqual(MOST);
    expect(documented).toContain(rowOf(metric.name, share, alarms));
  });
});

describe.each(SIMULATED_METRICS)('$name that is a tenth lower', (metric) => {
  it.each(SHARES)('is falsely proven not to be lower in at most 5 %, if the arm has %d of the users', (share) => {
    const { draw } = metric;
    const passed = new Set<number>();
    const simulation = { draw, share, usersPerLook: 1_000, looks: 60, experiments: EXPERIMENTS, effect: -0.1, seed: 9 };
    simulate(simulation, (experiment, _, stable, arm) => {
      if (Math.min(stable.users, arm.users) < MIN_USERS[0]) return false;
      const size = { users: balancedUsers(stable.users, arm.users), alpha: ALPHA };
      if (logEvidenceAbove(zOf(differenceOf(stable, arm, 0.9)), size) < Math.log(2 / ALPHA)) return false;
      passed.add(experiment);
      return true;
    });
    expect(upperBoundOf(passed.size, EXPERIMENTS)).toBeLessThanOrEqual(MOST);
  });
});
