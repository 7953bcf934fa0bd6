import { drawNormal, randomFrom } from '@tandem/experiment/distributions/draws.fixture';
import { PUBLISH_DEFAULTS, type PublishPolicy } from '@tandem/freshness/predictor';
import { describe, expect, it } from 'vitest';
import { classEnds, classOf } from './distribution.ts';
import { judgeReport } from './generation-report.ts';
import { drawCoverage, drawFigures, drawScores, type ScoredUsers } from './scored-users.fixture.ts';
import { ShiftTally } from './tally.ts';

/** Returns the share of generations that a policy holds back. */
function heldBack(scored: ScoredUsers, limits: Partial<PublishPolicy>, generations: number, seed = 1): number {
  const random = randomFrom(seed);
  const policy = { ...PUBLISH_DEFAULTS, minUsers: 1, ...limits };
  let held = 0;
  for (let i = 0; i < generations; i++) {
    if (judgeReport(drawFigures(random, scored), policy, null).crossings.length > 0) held++;
  }
  return held / generations;
}

/** Returns the sum of the definition, with half a user more in each class. */
function plainIndex(before: readonly number[], now: readonly number[]): number {
  const share = (counts: readonly number[], i: number) =>
    ((counts[i] ?? 0) + 0.5) / (counts.reduce((sum, count) => sum + count, 0) + counts.length / 2);
  return before.reduce((sum, _, i) => {
    const [p, q] = [share(before, i), share(now, i)];
    return sum + (q - p) * Math.log(q / p);
  }, 0);
}

const same = { turnover: 0.02, of: 'normal' } as const;

describe('without a shift', () => {
  it.each([0, 0.5, 0.9])(
    '100 users exceed 0.25 in most generations if chance is not subtracted (correlation %d)',
    (correlation) => {
      const random = randomFrom(1);
      let [above, held] = [0, 0];
      for (let i = 0; i < 500; i++) {
        const users: (readonly [number, number])[] = [];
        drawScores(random, { users: 100, correlation, turnover: 0, of: 'normal' }, (before, now) => {
          users.push([before ?? 0, now ?? 0]);
        });
        const ends = classEnds(Float64Array.from(users, ([before]) => before));
        const [before, now] = [new Array<number>(20).fill(0), new Array<number>(20).fill(0)];
        const tally = new ShiftTally(ends);
        for (const [was, is] of users) {
          before[classOf(ends, was)] = (before[classOf(ends, was)] ?? 0) + 1;
          now[classOf(ends, is)] = (now[classOf(ends, is)] ?? 0) + 1;
          tally.add(true, was, true, is);
        }
        if (plainIndex(before, now) > 0.25) above++;
        if ((tally.shift().psiLower ?? 1) > 0.25) held++;
      }
      expect(above / 500).toBeGreaterThanOrEqual(0.6);
      expect(above / 500).toBeLessThanOrEqual(0.78);
      expect(held).toBe(0);
    },
  );

  it.each([
    [20, 0.9],
    [100, 0],
    [100, 0.99],
    [1_000, 0.9],
  ])(
    '%d users with a correlation of %d are held back in at most three of a thousand generations, even with a limit of 0',
    (users, correlation) => {
      expect(heldBack({ ...same, users, correlation }, { maxPsi: 0 }, 400)).toBeLessThanOrEqual(0.003);
    },
  );

  it('the index is 0 on average', () => {
    const random = randomFrom(5);
    for (const correlation of [0, 0.9]) {
      let sum = 0;
      for (let i = 0; i < 300; i++) {
        const figures = drawFigures(random, { ...same, users: 400, correlation });
        sum += figures.outputs[0]?.psi ?? 1;
      }
      // Negative values count as 0, so the mean is half of the mean deviation. Without the correction it is 0.09.
      expect(sum / 300).toBeLessThan(0.012);
    }
  });
});

describe('a shift of one deviation', () => {
  it.each([
    [100, 0.9, 0.93],
    [100, 0, 0.36],
    [200, 0.9, 1],
    [200, 0, 0.89],
    [400, 0, 1],
  ])(
    'of %d users with a correlation of %d is held back in a share of %d, as the page says',
    (users, correlation, share) => {
      const held = heldBack({ ...same, users, correlation, shift: 1 }, { maxPsi: 0.25 }, 200);
      // Two standard deviations of a share of 200 draws; the page rounds to whole percents.
      expect(Math.abs(held - share)).toBeLessThanOrEqual(2 * Math.sqrt((share * (1 - share)) / 200) + 0.005);
    },
  );

  it('of users who are known by their classes alone is found, too', () => {
    const random = randomFrom(2);
    const bounds = Array.from({ length: 100 }, () => {
      const [output] = drawFigures(random, { ...same, users: 400, correlation: 0.9, shift: 1 }).outputs;
      return output?.first?.psiLower ?? 0;
    });
    expect(bounds.filter((lower) => lower > 0.25).length).toBe(100);
  });
});

it('a slow drift stays below the limit from day to day, and exceeds it against the first generation', () => {
  const random = randomFrom(3);
  const users = Array.from({ length: 30_000 }, () => drawNormal(random));
  const day = (values: readonly number[]) => values.map((value) => value + 0.05 + 0.02 * drawNormal(random));
  let previous: readonly number[] = users;
  const ends = classEnds(Float64Array.from(users));
  const all = new ShiftTally(ends);
  for (const value of users) all.add(true, value, false, 0);
  const first = all.classesBefore();
  const policy = { ...PUBLISH_DEFAULTS, maxPsi: 0.25 };
  const crossed: (string | undefined)[][] = [];
  let [mostOfDay, last] = [0, 0];
  for (let i = 0; i < 60; i++) {
    const now = day(previous);
    const tally = new ShiftTally(classEnds(Float64Array.from(previous)), first);
    for (const [user, value] of now.entries()) tally.add(true, previous[user] ?? 0, true, value);
    const shift = tally.shift();
    const coverage = { before: 30_000, now: 30_000, both: 30_000, added: 0, gone: 0 };
    const figures = {
      users: coverage,
      outputs: [{ name: 'score', ...shift }],
      answers: [],
      decision: null,
      segments: [],
    };
    crossed.push(judgeReport(figures, policy, null).crossings.map(({ against }) => against));
    mostOfDay = Math.max(mostOfDay, shift.psi);
    last = shift.first?.psi ?? 0;
    previous = now;
  }
  expect(mostOfDay).toBeLessThan(0.0035);
  expect(last).toBeGreaterThan(4);
  expect(crossed[5]).toEqual([]);
  expect(crossed[20]).toEqual(['first']);
  expect(crossed.flat()).not.toContain('previous');
});

describe('flips and deltas', () => {
  it('are held back in at most 1 % if the limit is their usual rate, and in 90 % if it is half of it', () => {
    const scored = { ...same, users: 1_000, correlation: 0.95 };
    const [random, figures] = [randomFrom(9), [] as ReturnType<typeof drawFigures>[]];
    for (let i = 0; i < 400; i++) figures.push(drawFigures(random, scored));
    const mean = (of: (one: (typeof figures)[number]) => number) =>
      figures.reduce((sum, one) => sum + of(one), 0) / figures.length;
    const maxFlipRate = mean(({ decision }) => decision?.rate ?? 0);
    const maxMeanDelta = mean(({ outputs }) => outputs[0]?.meanAbsoluteDelta ?? 0);
    // Two standard deviations of a share of 400 draws are 0.01.
    expect(heldBack(scored, { maxFlipRate }, 400)).toBeLessThanOrEqual(0.02);
    expect(heldBack(scored, { maxMeanDelta }, 400)).toBeLessThanOrEqual(0.02);
    expect(heldBack(scored, { maxFlipRate: maxFlipRate / 2 }, 100)).toBeGreaterThanOrEqual(0.9);
    expect(heldBack(scored, { maxMeanDelta: maxMeanDelta / 2 }, 100)).toBeGreaterThanOrEqual(0.9);
  });
});

describe('a minimum coverage', () => {
  /** Returns the share of generations that are held back, of users who leave independently. */
  function heldBackBy(minCoverage: number, users: number, loss: number): number {
    const random = randomFrom(users);
    const policy = { ...PUBLISH_DEFAULTS, minCoverage };
    const held = Array.from({ length: 2_000 }).filter(
      () => judgeReport(drawCoverage(random, users, loss), policy, null).crossings.length > 0,
    );
    return held.length / 2_000;
  }

  it('equal to the usual coverage holds back many generations: 38 of 100 with 100 users and a loss of 5 percent', () => {
    // Two standard deviations of a share of 2,000 draws are 0.022.
    expect(Math.abs(heldBackBy(0.95, 100, 0.05) - 0.38)).toBeLessThan(0.022);
  });

  it.each([100, 400, 2_000, 20_000, 1e6].flatMap((users) => [0.01, 0.05, 0.2].map((loss) => [users, loss])))(
    'four standard deviations below the usual coverage holds back at most 1 of 100 (%d users, loss %d), and finds a loss of eight',
    (users = 0, loss = 0) => {
      const deviation = Math.sqrt((loss * (1 - loss)) / users);
      const minCoverage = 1 - loss - 4 * deviation;
      expect(heldBackBy(minCoverage, users, loss)).toBeLessThanOrEqual(0.01);
      const larger = loss + 8 * deviation;
      if (larger < 1) expect(heldBackBy(minCoverage, users, larger)).toBeGreaterThanOrEqual(0.9);
    },
  );
});
