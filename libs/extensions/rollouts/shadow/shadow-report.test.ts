import { wilsonInterval } from '@tandem/experiment/distributions/wilson';
import { expect, it } from 'vitest';
import { compareAnswers } from './compare-answers.ts';
import { addShadowCounts, DELTA_CLASSES, deltaClassOf, deltaRange, NO_EFFORT } from './shadow-counts.ts';
import { MOST_MOVERS, reportShadow } from './shadow-report.ts';
import { ShadowTally } from './shadow-tally.ts';

const YARDSTICK = { output: 'score', threshold: 0.5 };

/** Returns the sums of a process that compared these pairs of scores, for users in these countries in turn. */
function tallyOf(pairs: readonly (readonly [number, number])[], countries: readonly string[] = []): ShadowTally {
  const tally = new ShadowTally();
  for (const [i, [served, candidate]] of pairs.entries()) {
    const comparison = compareAnswers({ score: served }, { score: candidate }, YARDSTICK);
    if (!comparison) throw new Error('no comparison');
    const country = countries[i % countries.length];
    tally.compare(comparison, 60, country === undefined ? [] : [{ feature: 'country', value: country }]);
    tally.consider({ userId: `${i}`, served, candidate, contextVersion: 1, computedAt: 0 });
  }
  return tally;
}

it('the sums of two processes add up to the sums of one', () => {
  const pairs = Array.from({ length: 200 }, (_, i) => [(i % 20) / 20, ((i * 7) % 20) / 20] as const);
  const [one, other] = [tallyOf(pairs.slice(0, 80), ['DE', 'FR']), tallyOf(pairs.slice(80), ['DE', 'FR'])];
  one.run(80, 3, 0.5);
  other.run(120, 30, 1.5);
  other.count('failed', 3);
  const together = tallyOf(pairs, ['DE', 'FR']);
  together.run(80, 3, 0.5);
  together.run(120, 30, 1.5);
  together.count('failed', 3);
  // The sums as the store returns them.
  const kept = JSON.parse(JSON.stringify([...one.rows(), ...other.rows()])) as ReturnType<typeof one.rows>;
  const [found, expected] = [reportShadow(kept, true), reportShadow(together.rows(), true)];
  expect(found.everybody.meanDelta).toBeCloseTo(expected.everybody.meanDelta ?? 0, 12);
  const exact = { meanDelta: null, deviation: null };
  const comparable = (report: typeof found) => ({
    ...report,
    everybody: { ...report.everybody, ...exact },
    segments: report.segments.map((segment) => ({ ...segment, ...exact })),
  });
  expect(comparable(found)).toEqual(comparable(expected));
  expect(found).toMatchObject({ everybody: { compared: 200 }, servedAgeSeconds: 60, outcomes: { failed: 3 } });
  expect(found.candidate).toMatchObject({ usersRun: 200, cpuMsPerThousand: 10 });
});

it('a report has the exact mean, deviation and largest difference, whatever the classes', () => {
  const { everybody } = reportShadow(
    tallyOf([
      [0.2, 0.3],
      [0.2, 0.1],
      [0.5, 0.9],
    ]).rows(),
    true,
  );
  expect(everybody.meanDelta).toBeCloseTo(0.4 / 3, 12);
  expect(everybody.deviation).toBeCloseTo(Math.sqrt(0.18 / 3 - (0.4 / 3) ** 2), 12);
  expect(everybody).toMatchObject({ compared: 3, differentShare: 1, flips: { up: 0, down: 0, rate: 0 } });
  expect(everybody.largestDelta).toBeCloseTo(0.4, 12);
});

it('each difference lies within its class, and classes are symmetric', () => {
  for (const delta of [0, 0.0009, 0.001, 0.0015, 0.2, 0.3, 7, 5_000, -0.0009, -0.001, -0.3, -5_000]) {
    const { from, to } = deltaRange(deltaClassOf(delta));
    expect(from ?? Number.NEGATIVE_INFINITY, `${delta}`).toBeLessThanOrEqual(delta);
    expect(to ?? Number.POSITIVE_INFINITY, `${delta}`).toBeGreaterThanOrEqual(delta);
    expect(deltaClassOf(delta) + deltaClassOf(-delta)).toBe(DELTA_CLASSES - 1);
  }
});

it('a report has the distribution of scores of both sides, and ignores other numbers', () => {
  const { joint } = reportShadow(tallyOf([[0.12, 0.98]]).rows(), true);
  expect(joint?.[2]?.[19]).toBe(1);
  expect(joint?.flat().reduce((a, b) => a + b)).toBe(1);
  expect(reportShadow(tallyOf([[12, 98]]).rows(), true).joint).toBeNull();
});

it('a report has segments for a limited number of values, and one for the users of all others', () => {
  const countries = Array.from({ length: 50 }, (_, i) => `country ${i}`);
  const { segments } = reportShadow(tallyOf(Array(100).fill([0.1, 0.9]), countries).rows(), true);
  expect(segments).toHaveLength(21);
  expect(segments[0]).toMatchObject({ segment: { feature: 'country', value: null }, compared: 60, flips: { up: 60 } });
});

it('a tally holds the users with the largest changes until they are taken', () => {
  const tally = tallyOf(Array.from({ length: 500 }, (_, i) => [0, ((i * 271) % 500) / 500] as const));
  const movers = tally.takeMovers();
  expect(movers).toHaveLength(MOST_MOVERS);
  expect(Math.min(...movers.map(({ candidate }) => candidate))).toBe(1 - MOST_MOVERS / 500);
  expect(tally.takeMovers()).toEqual([]);
  tally.raiseFloor(0.9);
  tally.consider({ userId: 'a', served: 0, candidate: 0.9, contextVersion: 1, computedAt: 0 });
  tally.consider({ userId: 'b', served: 0.95, candidate: 0, contextVersion: 1, computedAt: 0 });
  expect(tally.takeMovers().map(({ userId }) => userId)).toEqual(['b']);
});

it('sums of an earlier release, which lack some counts, can still be added', () => {
  const [row] = tallyOf([[0.1, 0.9]]).rows();
  const { processesEnded: _, joint: __, ...less } = row?.counts.effort ?? NO_EFFORT;
  const sum = addShadowCounts({ ...(row?.counts as never as object), effort: less } as never, row?.counts as never);
  expect(sum).toMatchObject({ compared: 2, effort: { processesEnded: 0, outcomes: { compared: 2 } } });
});

it.each([
  // Intervals by Wilson's formula, computed by another program (R: binom::binom.wilson).
  [10, 1_000, 0.005442, 0.018309],
  [0, 100, 0, 0.036995],
  [50, 100, 0.403832, 0.596168],
  [100, 100, 0.963005, 1],
])('Wilson’s interval of %d in %d matches R', (successes, trials, low, high) => {
  const interval = wilsonInterval(successes, trials);
  expect(interval.low).toBeCloseTo(low, 5);
  expect(interval.high).toBeCloseTo(high, 5);
  expect(wilsonInterval(0, 0)).toEqual({ low: 0, high: 1 });
});
