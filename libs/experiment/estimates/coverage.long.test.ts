/**
 * The grid of loads, gains and numbers of users for which docs/value.md states the coverage of intervals. `npm test`
 * simulates a part of it.
 */
import { describe, expect, test } from 'vitest';
import { GAINS, LOADS, simulateCoverage } from './simulated-reads.fixture.ts';

const loads = Object.keys(LOADS) as (keyof typeof LOADS)[];
const gains = (Object.keys(GAINS) as (keyof typeof GAINS)[]).filter((gain) => gain !== 'ofRareReaders');

/** The share of reports that give an interval, as docs/value.md says; at other loads it is at least 0.98. */
const TOLD: Readonly<Partial<Record<keyof typeof LOADS, Readonly<Record<number, number>>>>> = {
  pareto: { 200: 0.83, 1000: 0.95, 5000: 0.98 },
  logNormal2: { 200: 0.4, 1000: 0.9, 5000: 0.99 },
};

describe.each([200, 1_000, 5_000])('of %i users', (users) => {
  test.each(loads.flatMap((load) => gains.map((gain) => [load, gain] as const)))(
    'intervals at %s activity cover a %s gain',
    { timeout: 600_000 },
    (load, gain) => {
      const experiments = users > 1_000 ? 500 : 1_000;
      const { told, covered, percentile } = simulateCoverage({ load, gains: gain, users, experiments });
      console.log(`${users} ${load} ${gain}: told ${told}, covered ${covered}, percentile ${percentile}`);
      expect(Math.abs(told - (TOLD[load]?.[users] ?? 1))).toBeLessThan(0.025);
      expect(covered).toBeGreaterThanOrEqual(0.93);
    },
  );

  test('intervals cover less often if the gain depends on activity without a finite variance', () => {
    const { covered } = simulateCoverage({ load: 'pareto', gains: 'ofRareReaders', users, experiments: 500 });
    console.log(`${users} pareto ofRareReaders: covered ${covered}`);
    expect(covered).toBeGreaterThanOrEqual(0.88);
  }, 600_000);
});
