import type { OutputField } from '@tandem/freshness/predictor';
import { describe, expect, it } from 'vitest';
import { compareSides, outputsOf, SCORE, scores } from './compare-generations.fixture.ts';

const users = (count: number) => Array.from({ length: count }, (_, i) => `${i}`);
const uniform = scores(users(1_000).map((id, i) => [id, (i + 0.5) / 1_000]));
const decision = { output: 'score', threshold: 0.7 };

describe('two equal generations', () => {
  const figures = compareSides(uniform, uniform, { decision }).figures();

  it('differ in nothing', () => {
    expect(figures.users).toEqual({ before: 1_000, now: 1_000, both: 1_000, added: 0, gone: 0 });
    const none = {
      psi: 0,
      psiLower: 0,
      meanAbsoluteDeltaLower: 0,
      meanDelta: 0,
      meanAbsoluteDelta: 0,
      p50AbsoluteDelta: 0,
      p99AbsoluteDelta: 0,
      largestDelta: 0,
      changed: 0,
    };
    expect(figures.outputs).toEqual([{ name: 'score', meanBefore: 0.5, meanNow: 0.5, ...none }]);
    expect(figures.decision).toEqual({ ...decision, up: 0, down: 0, rate: 0, rateLower: 0 });
  });

  it('have no movers', () => {
    expect(compareSides(uniform, uniform).movers()).toEqual([]);
  });
});

describe('a planted shift', () => {
  // The lowest tenth of the users rises by 0.8; the highest twentieth falls by 0.5.
  const now = scores(users(1_000).map((id, i) => [id, (i + 0.5) / 1_000 + (i < 100 ? 0.8 : i >= 950 ? -0.5 : 0)]));
  const comparison = compareSides(uniform, now, { decision });
  const { outputs, decision: flips } = comparison.figures();

  it('gives its PSI', () => {
    // There are 20 classes of 50 users. The first two are now empty, and classes 16 and 17 (0.8 to 0.9) have twice as
    // many users. The last is empty, and class 9 (0.45 to 0.5) has twice as many.
    const share = (count: number) => (count + 0.5) / 1_010;
    const moved = (was: number, is: number) => (share(is) - share(was)) * Math.log(share(is) / share(was));
    // Chance adds about the share of users who changed their class, over the users of a class.
    const plain = 3 * moved(50, 0) + 3 * moved(50, 100);
    expect(outputs[0]?.psi).toBeCloseTo(plain - 0.00795, 4);
    expect(outputs[0]?.psiLower).toBeGreaterThan(0.5);
  });

  it('gives its deltas', () => {
    expect(outputs[0]).toMatchObject({
      meanDelta: 0.055,
      meanAbsoluteDelta: 0.105,
      p50AbsoluteDelta: 0,
      changed: 0.15,
    });
    expect(outputs[0]?.p99AbsoluteDelta).toBeCloseTo(0.8, 5);
    expect(outputs[0]?.largestDelta).toBeCloseTo(0.8, 5);
  });

  it('gives its flips in both directions', () => {
    // The 1 % quantile of a gamma distribution of shape 150 is 122.99, by SciPy.
    expect(flips).toEqual({ ...decision, up: 100, down: 50, rate: 0.15, rateLower: expect.closeTo(0.12299, 4) });
  });

  it('names the users with the largest changes', () => {
    const movers = comparison.movers();
    expect(movers).toHaveLength(20);
    expect(movers.every(({ userId, delta }) => Number(userId) < 100 && Math.abs(delta - 0.8) < 1e-5)).toBe(true);
  });
});

it('the users with the largest changes are found in any order of users', () => {
  const deltaOf = (i: number) => (((i * 7_919) % 1_000) - 500) / 1_000;
  const now = scores(users(1_000).map((id, i) => [id, (i + 0.5) / 1_000 + deltaOf(i)]));
  const expected = users(1_000)
    .sort((a, b) => Math.abs(deltaOf(Number(b))) - Math.abs(deltaOf(Number(a))))
    .slice(0, 19);
  const movers = compareSides(uniform, now).movers();
  expect(movers.map(({ userId }) => userId)).toEqual(expect.arrayContaining(expected));
  const sizes = movers.map(({ delta }) => Math.abs(delta));
  expect(sizes).toEqual(sizes.toSorted((a, b) => b - a));
});

it('users in only one generation count for coverage and distribution, not for deltas', () => {
  const both = users(40).map((id): [string, number] => [id, 0.2]);
  const before = scores([...both, ...users(20).map((id): [string, number] => [`a${id}`, 0.1])]);
  const now = scores([...both, ...users(40).map((id): [string, number] => [`d${id}`, 0.9])]);
  const { users: coverage, outputs } = compareSides(before, now).figures();
  expect(coverage).toEqual({ before: 60, now: 80, both: 40, added: 40, gone: 20 });
  expect(outputs[0]).toMatchObject({ meanNow: 0.55, meanDelta: 0, changed: 0 });
  expect(outputs[0]?.meanBefore).toBeCloseTo(10 / 60, 5);
  expect(outputs[0]?.psi).toBeGreaterThan(0.5);
});

it('a threshold compares values as applications see them: a float32 printed as 0.7 reaches 0.7', () => {
  const { decision: flips } = compareSides(scores([['a', 0.1]]), scores([['a', 0.7]]), { decision }).figures();
  expect(flips).toMatchObject({ up: 1, down: 0 });
});

describe('by segment', () => {
  const now = scores(users(1_000).map((id, i) => [id, (i + 0.5) / 1_000 + (i % 2 === 0 ? 0.25 : 0)]));
  const compare = (valuesOf: (userId: string) => (string | null)[]) =>
    compareSides(uniform, now, { decision, segments: ['half'], valuesOf }).figures().segments[0];

  it('each value has separate figures', () => {
    const segment = compare((id) => [Number(id) % 2 === 0 ? 'even' : null]);
    const [even, none] = ['even', null].map((value) => segment?.values.find((one) => one.value === value));
    expect(even).toMatchObject({
      users: { both: 500 },
      shift: { meanDelta: 0.25, changed: 1 },
      flips: { up: 125, down: 0, rate: 0.25 },
    });
    expect(none).toMatchObject({
      users: { both: 500 },
      shift: { meanDelta: 0, psi: 0 },
      flips: { up: 0, down: 0, rate: 0 },
    });
    expect(even?.shift?.psi).toBeGreaterThan(0.25);
    expect(segment?.others).toBeNull();
  });

  it('the first 50 values are counted separately, the others together', () => {
    const segment = compare((id) => [`${Number(id) % 60}`]);
    expect(segment?.values).toHaveLength(50);
    const counted = segment?.values.reduce((sum, { users: { both } }) => sum + both, segment.others?.users.both ?? 0);
    expect(counted).toBe(1_000);
    expect(segment?.others?.users.both).toBe(160);
  });
});

describe('outputs that are not numbers', () => {
  const fields: OutputField[] = [
    { name: 'label', output: 'l', type: 'string', width: null, index: 0 },
    { name: 'top', output: 't', type: 'int32', width: 2, index: 0 },
    SCORE,
  ];
  const side = (values: readonly (readonly [string, readonly number[], number])[]) => ({
    fields,
    users: new Map(values.map((one, i) => [`${i}`, outputsOf(fields, one)])),
  });

  it('have the share of changed answers, and outputs after a text are found', () => {
    const before = side([
      ['yes', [1, 2], 0.25],
      ['no', [1, 2], 0.5],
      ['no', [3, 4], 0.5],
      ['perhaps', [5, 6], 1],
    ]);
    const now = side([
      ['no', [1, 2], 0.25],
      ['no', [2, 1], 0.5],
      ['maybe', [3, 4], 0.75],
      ['perhaps', [5, 6], 1],
    ]);
    const figures = compareSides(before, now).figures();
    expect(figures.answers).toEqual([
      { name: 'label', changed: 0.5 },
      { name: 'top', changed: 0.25 },
    ]);
    expect(figures.outputs[0]).toMatchObject({ name: 'score', meanBefore: 0.5625, meanNow: 0.625, largestDelta: 0.25 });
  });

  it('of different model versions are compared if both versions have them', () => {
    const before = scores([['0', 0.5]]);
    const now = side([['yes', [1, 2], 0.75]]);
    const comparison = compareSides(before, now, { decision: { output: 'label', threshold: 1 } });
    expect(comparison.figures()).toMatchObject({
      outputs: [{ name: 'score', meanDelta: 0.25 }],
      answers: [],
      decision: null,
    });
    expect(comparison.notes).toEqual([
      'output label is new',
      'output top is new',
      'decision: output label is not in both generations',
    ]);
  });
});
