import { expect, test } from 'vitest';
import { type RetentionCandidate, retiredGenerations } from './generation-rows.ts';

function generation(number: number, changes: Partial<RetentionCandidate> = {}): RetentionCandidate {
  return {
    id: `g${number}`,
    predictor: 'p',
    number,
    modelVersionId: 'm1',
    modelNumber: 1,
    runId: `r${number}`,
    state: 'published',
    history: 'h',
    buckets: 1,
    startedAt: 0,
    plannedAt: 0,
    publishedAt: new Date(0),
    users: 1,
    baseId: null,
    baseNumber: null,
    usersLeft: null,
    inForce: false,
    wasStable: true,
    servedStable: true,
    isServed: changes.inForce ?? false,
    lastUsedMs: 0,
    runEndedMs: 0,
    ...changes,
  };
}

const numbers = (all: readonly RetentionCandidate[]) => retiredGenerations(all).map((one) => one.number);

test('the current generation and the two before it stay', () => {
  expect(numbers([1, 2, 3, 4, 5].map((n) => generation(n, { inForce: n === 5 })))).toEqual([1, 2]);
});

test('after a rollback the newest three stay beside the current one and the two before it', () => {
  expect(numbers([1, 2, 3, 4, 5, 6, 7, 8].map((n) => generation(n, { inForce: n === 4 })))).toEqual([1, 5]);
});

test('a base stays as long as any generation names it, even an unpublished generation', () => {
  const above = (number: number, changes: Partial<RetentionCandidate> = {}) =>
    generation(number, { baseId: 'g2', ...changes });
  const all = [1, 2].map((n) => generation(n)).concat([3, 4, 5, 6].map((n) => above(n, { inForce: n === 6 })));
  expect(numbers(all)).toEqual([1, 3]);
  expect(numbers([...all.filter(({ number }) => number !== 3), generation(7), generation(8), generation(9)])).toEqual([
    1,
  ]);
  const building = above(10, { state: 'building', runEndedMs: null });
  const later = [7, 8, 9].map((n) => generation(n, { inForce: n === 9 }));
  expect(numbers([generation(2), building, ...later])).toEqual([]);
  expect(numbers([generation(2), ...later])).toEqual([2]);
});

test('each model version keeps its own generations', () => {
  const old = [1, 2, 3, 4].map((n) => generation(n));
  const current = [5, 6].map((n) => generation(n, { modelVersionId: 'm2', inForce: n === 6 }));
  expect(numbers([...old, ...current])).toEqual([1]);
});

const DAY = 24 * 3_600_000;

test('a model version that is not served keeps its generations for thirty days after its last use', () => {
  const old = (n: number, days: number) => generation(n, { modelVersionId: `m${n}`, lastUsedMs: days * DAY });
  const left = generation(3, { modelVersionId: 'm2', lastUsedMs: 29 * DAY });
  const current = generation(9, { inForce: true, lastUsedMs: 90 * DAY });
  expect(numbers([old(1, 31), { ...left, id: 'g2', number: 2, lastUsedMs: 40 * DAY }, left, current])).toEqual([1]);
});

test('for each predictor the five most recently used model versions that are not served are kept', () => {
  const versions = Array.from({ length: 8 }, (_, n) =>
    generation(n, { modelVersionId: `m${n}`, lastUsedMs: n * DAY, isServed: n === 7 }),
  );
  const elsewhere = versions.map((one) => ({ ...one, id: `q${one.number}`, predictor: 'q', isServed: false }));
  expect(numbers(versions)).toEqual([5, 6]);
  expect(retiredGenerations([...versions, ...elsewhere]).map((one) => one.id)).toEqual(['g5', 'g6', 'q5', 'q6', 'q7']);
});

test('an unpublished generation stays while its run is unfinished, and for a day after it', () => {
  const building = (n: number, runEndedMs: number | null) => generation(n, { state: 'building', runEndedMs });
  expect(numbers([building(1, null), building(2, DAY - 1), building(3, DAY + 1)])).toEqual([3]);
});
