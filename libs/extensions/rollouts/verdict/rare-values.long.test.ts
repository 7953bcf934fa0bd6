/**
 * Computes the table of docs/experiments.md: how often an arm that loses rare large values passes "not worse than 10 %",
 * without a cap and with a cap of 500 at which the loss is exactly the margin.
 */
import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { everRuledOut, type RareLoss, rateOfATenth } from './rare-values.fixture.ts';
import { upperBoundOf } from './simulated-experiments.fixture.ts';

const EXPERIMENTS = 400;
const page = readFileSync(new URL('../../../../docs/experiments.md', import.meta.url), 'utf8');
const rows = page.split('\n').map((line) => line.replaceAll(/ +/g, ' '));
const VALUES = [
  ['10 ± 8', 10, 8],
  ['20 ± 8', 20, 8],
  ['1 ± 1', 1, 1],
] as const;

describe.each(VALUES)('users with %s, of which one in 2,000 has 10,000', (name, mean, deviation) => {
  it.each([0.5, 0.1, 0.01])('and an arm of %d that loses them, passes as often as the page says', (share) => {
    const cells = [undefined, 500].map((cap) => {
      const rate = cap === undefined ? 1 / 2_000 : rateOfATenth(mean, cap);
      const loss: RareLoss = {
        mean,
        deviation,
        value: 10_000,
        rate,
        share,
        usersPerLook: 200,
        experiments: EXPERIMENTS,
      };
      return everRuledOut(cap === undefined ? loss : { ...loss, cap }, 'guardrail', 1);
    });
    const [free = 1, capped = 1] = cells;
    expect(upperBoundOf(capped * EXPERIMENTS, EXPERIMENTS)).toBeLessThanOrEqual(0.025);
    const figures = [free, capped].map((one) => (100 * one).toFixed(1)).join(' | ');
    expect(rows).toContain(`| ${name} | ${Math.round(100 - 100 * share)}/${Math.round(100 * share)} | ${figures} |`);
  });
});

it.each([500, 1_000, 5_000])('a cap keeps its promise with %d users a look', (usersPerLook) => {
  const loss = { mean: 10, deviation: 3, value: 10_000, cap: 500, rate: rateOfATenth(10, 500), share: 0.5 };
  const passed = EXPERIMENTS * everRuledOut({ ...loss, usersPerLook, experiments: EXPERIMENTS }, 'guardrail', 4);
  expect(upperBoundOf(passed, EXPERIMENTS)).toBeLessThan(0.05);
});

it.each([0.5, 0.1, 0.01])('a cap keeps its promise in an arm of %d that gains negative values', (share) => {
  const gain = { mean: 10, deviation: 3, value: -10_000, cap: 500, rate: 1 / 510, usersPerLook: 50 / share };
  const passed = EXPERIMENTS * everRuledOut({ ...gain, share, experiments: EXPERIMENTS }, 'guardrail', 5);
  expect(upperBoundOf(passed, EXPERIMENTS)).toBeLessThan(0.05);
});

it('the largest value seen prevents few of the false conclusions, as the page says', () => {
  const loss: RareLoss = { mean: 10, deviation: 8, value: 10_000, rate: 1 / 2_000, share: 0.5, usersPerLook: 200 };
  const passed = [true, false].map((isHidden) => {
    return (100 * everRuledOut({ ...loss, isHidden, experiments: EXPERIMENTS }, 'guardrail', 1)).toFixed(0);
  });
  expect(page.replaceAll(/\s+/g, ' ')).toContain(`from ${passed[0]} % to ${passed[1]} %`);
});
