/**
 * The grid of loads, gains and numbers of users for which docs/value.md states the coverage of intervals. `npm test`
 * simulates a part of it.
 */
import { describe, expect, test } from 'vitest';
import { GAINS, LOADS, simulateCoverage } from './simulated-reads.fixture.ts';

const loads = Object.keys(LOADS) as (keyof typeof LOADS)[];
const gains = Object.keys(GAINS) as (keyof typeof GAINS)[];

describe.each([200, 1_000, 5_000])('of %i users', (users) => {
  test.each(loads.flatMap((load) => gains.map((gain) => [load, gain] as const)))(
    'intervals at %s activity cover a %s gain',
    { timeout: 600_000 },
    (load, gain) => {
      const experiments = users > 1_000 ? 500 : 1_000;
      const { told, covered, percentile } = simulateCoverage({ load, gains: gain, users, experiments });
      console.log(`${users} ${load} ${gain}: told ${told}, covered ${covered}, percentile ${percentile}`);
      expect(told).toBeGreaterThan(0.3);
      // With a coverage of 0.95, 0.93 is two standard errors below for 500 experiments.
      expect(covered).toBeGreaterThanOrEqual(0.925);
    },
  );
});
