/**
 * Measures how often thresholds hold a generation back, for the tables of docs/generations.md: without a shift, for
 * every size, correlation, turnover and distribution, and with a shift.
 */
import { readFileSync } from 'node:fs';
import { mostOf, randomFrom } from '@tandem/experiment/distributions/draws.fixture';
import { describe, expect, it } from 'vitest';
import { DISTRIBUTIONS, drawFigures, type ScoredUsers } from './scored-users.fixture.ts';

const NAMES = Object.keys(DISTRIBUTIONS) as (keyof typeof DISTRIBUTIONS)[];
const CORRELATIONS = [0, 0.5, 0.9, 0.99, 0.9999];
const TURNOVERS = [0, 0.1, 0.3];

const cells = (users: number): ScoredUsers[] =>
  NAMES.flatMap((of) =>
    CORRELATIONS.flatMap((correlation) => TURNOVERS.map((turnover) => ({ users, correlation, turnover, of }))),
  );

/** Returns how many of the generations have a lower bound above the limit, against the previous and the first. */
function countAbove(scored: ScoredUsers, limit: number, generations: number, seed: number) {
  const random = randomFrom(seed);
  const above = { previous: 0, first: 0 };
  for (let i = 0; i < generations; i++) {
    const [output] = drawFigures(random, scored).outputs;
    if ((output?.psiLower ?? 1) > limit) above.previous++;
    if ((output?.first?.psiLower ?? 1) > limit) above.first++;
  }
  return above;
}

describe('without a shift', () => {
  it.each([
    [20, 1_000],
    [50, 1_000],
    [100, 1_000],
    [400, 1_000],
    [2_000, 1_000],
    [20_000, 300],
  ])(
    'in every cell, at most 0.34 %% of generations of %d users have a lower bound above 0',
    { timeout: 1_800_000 },
    (users, n) => {
      const counts = cells(users).map((cell, i) => countAbove(cell, 0, n, i));
      const worst = Math.max(...counts.map(({ previous, first }) => Math.max(previous, first)));
      const total = counts.reduce((sum, { previous, first }) => sum + previous + first, 0);
      console.info(`${users} users: ${worst} of ${n} in the worst cell, ${total} of ${2 * n * counts.length} in all`);
      expect(worst / n).toBeLessThanOrEqual(0.0034);
      expect(total / (2 * n * counts.length)).toBeLessThanOrEqual(1e-4);
    },
  );

  it('a million users have an index below 0.001', { timeout: 600_000 }, () => {
    for (const of of ['normal', 'five values'] as const) {
      const [output] = drawFigures(randomFrom(1), { users: 1e6, correlation: 0.9, turnover: 0.1, of }).outputs;
      expect(Math.max(output?.psi ?? 1, output?.first?.psi ?? 1)).toBeLessThan(1e-3);
      expect(output?.psiLower).toBe(0);
    }
  });
});

describe('with a shift', () => {
  const page = readFileSync(new URL('../../../docs/generations.md', import.meta.url), 'utf8');
  const rows = [...page.matchAll(/^\| +([\d,]+) \|(( +\d+ % \|){4})$/gm)].map(([, users = '', cells = '']) => {
    return [Number(users.replace(',', '')), cells.match(/\d+/g)?.map(Number)] as const;
  });
  const GENERATIONS = 2_000;

  it('the table of the documentation has five rows', () => {
    expect(rows.map(([users]) => users)).toEqual([50, 100, 200, 400, 1_000]);
  });

  it.each(rows)('the documentation has the power for %d users, in percent', { timeout: 600_000 }, (users, cells) => {
    const above = (shift: number, correlation: number, limit: number) => {
      const scored = { users, correlation, turnover: 0.02, of: 'normal', shift } as const;
      const { previous, first } = countAbove(scored, limit, GENERATIONS, users);
      return { previous: (100 * previous) / GENERATIONS, first: (100 * first) / GENERATIONS };
    };
    const [similar, independent, half] = [above(1, 0.9, 0.25), above(1, 0, 0.25), above(0.5, 0.9, 0.1)];
    const found = [similar.previous, independent.previous, similar.first, half.previous];
    console.info(`${users} users: ${found.join(' %, ')} %`);
    for (const [i, share] of found.entries()) expect(Math.abs((cells?.[i] ?? 0) - share)).toBeLessThan(0.6);
    // Half a deviation has an index of 0.244, about the limit.
    const ofLimit = above(0.5, 0.9, 0.25);
    expect(Math.max(ofLimit.previous, ofLimit.first)).toBeLessThanOrEqual(1);
  });

  it('of one deviation the index is 0.96, and of half a deviation 0.24', () => {
    const indexes = [1, 0.5].map((shift) => {
      const scored = { users: 1e6, correlation: 0.9, turnover: 0.02, of: 'normal', shift } as const;
      return drawFigures(randomFrom(1), scored).outputs[0]?.psi;
    });
    expect(indexes).toEqual([expect.closeTo(0.96, 2), expect.closeTo(0.24, 2)]);
  });
});

describe('flips and deltas', () => {
  it.each([20, 100, 400, 2_000])(
    '%d users: at a limit of the usual figure at most one in a hundred is above',
    { timeout: 600_000 },
    (users) => {
      for (const correlation of [0.5, 0.9, 0.99]) {
        for (const of of ['normal', 'lognormal', 'five values'] as const) {
          const random = randomFrom(users);
          const n = users === 2_000 ? 500 : 2_000;
          const figures = Array.from({ length: n }, () => drawFigures(random, { users, correlation, turnover: 0, of }));
          const ofFlips = figures.map(({ decision }) => [decision?.rate ?? 0, decision?.rateLower ?? 1] as const);
          const ofDeltas = figures.map(
            ({ outputs }) => [outputs[0]?.meanAbsoluteDelta ?? 0, outputs[0]?.meanAbsoluteDeltaLower ?? 1] as const,
          );
          const above = [ofFlips, ofDeltas].map((values) => {
            const usual = values.reduce((sum, [value]) => sum + value, 0) / n;
            const count = (limit: number) => values.filter(([, lower]) => lower > limit).length;
            return [count(usual), count(usual / 2)] as const;
          });
          const shares = above.flat().map((count) => `${((100 * count) / n).toFixed(1)} %`);
          console.info(
            `${users} users, ${of}, correlation ${correlation}: flips and half, deltas and half: ${shares.join(', ')}`,
          );
          for (const [usual] of above) expect(usual).toBeLessThanOrEqual(mostOf(n, 0.01));
          const [[, halfOfFlips] = [], [, halfOfDeltas] = []] = above;
          const flips = ofFlips.reduce((sum, [rate]) => sum + rate * users, 0) / n;
          if (flips >= 50) expect(halfOfFlips).toBeGreaterThanOrEqual(0.9 * n);
          const enough = { normal: 100, lognormal: 400, 'five values': Number.POSITIVE_INFINITY }[of];
          if (users >= enough) expect(halfOfDeltas).toBeGreaterThanOrEqual(0.9 * n);
        }
      }
    },
  );
});
