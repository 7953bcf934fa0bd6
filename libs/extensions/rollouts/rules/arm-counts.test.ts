import type { ServedRollout } from '@tandem/freshness/certificate';
import { expect, test } from 'vitest';
import { createServedCounter, type ServedRead } from './arm-counts.ts';

const rollout = (changes: Partial<ServedRollout> = {}): ServedRollout => ({
  id: 'r',
  kind: 'canary',
  step: 0,
  overridden: false,
  ...changes,
});
const read = (changes: Partial<ServedRead> = {}): ServedRead => ({
  arm: 'stable',
  userId: '1',
  source: 'batch',
  ms: 1,
  score: undefined,
  ...changes,
});
function counter() {
  let ids = 0;
  return createServedCounter(() => `p${++ids}`);
}
const readsOf = (sums: ReturnType<ReturnType<typeof counter>['changed']>) =>
  sums.map(({ step, arm, source, processId, counts }) => [step, arm, source, processId, counts.reads]);

test('reads are summed by rollout, step, arm and source', () => {
  const counted = counter();
  counted.count(rollout(), read());
  counted.count(rollout(), read());
  counted.count(rollout(), read({ source: 'live' }));
  counted.count(rollout(), read({ arm: 'candidate' }));
  counted.count(rollout({ step: 1 }), read({ arm: 'candidate' }));
  expect(readsOf(counted.changed()).sort()).toEqual([
    [0, 'candidate', 'batch', 'p1', 1],
    [0, 'stable', 'batch', 'p1', 2],
    [0, 'stable', 'live', 'p1', 1],
    [1, 'candidate', 'batch', 'p2', 1],
  ]);
});

test('a latency is in the first class with a bound not below it; a score of 0 to 1 is in one of twenty classes, others in none', () => {
  const counted = counter();
  for (const ms of [0.2, 1, 1.01, 5_000, 5_001]) counted.count(rollout(), read({ ms }));
  for (const [i, score] of [0, 0.049, 0.05, 0.999, 1, -3, 7].entries())
    counted.count(rollout(), read({ userId: `${i}`, ms: 3, score }));
  const [{ counts } = { counts: undefined }] = counted.changed();
  expect(counts?.latency).toEqual([2, 1, 7, 0, 0, 0, 0, 0, 0, 0, 0, 1, 1]);
  expect(counts?.scores[0]).toBe(2);
  expect(counts?.scores[1]).toBe(1);
  expect(counts?.scores[19]).toBe(2);
  expect(counts?.scores.reduce((sum, n) => sum + n)).toBe(5);
});

test('errors and defaults count as reads without a prediction of the model', () => {
  const counted = counter();
  for (const source of ['error', 'default', 'stale'] as const) counted.count(rollout(), read({ source }));
  expect(counted.changed().map(({ source, counts }) => [source, counts.errors])).toEqual([
    ['error', 1],
    ['default', 1],
    ['stale', 0],
  ]);
});

test('a user has the weight 1, split over the sources of the user’s reads, and one score', () => {
  const counted = counter();
  const slow = rollout({ slowMs: 100 });
  for (let i = 0; i < 3; i++) counted.count(slow, read({ source: 'live', score: 0.9 }));
  counted.count(slow, read({ source: 'stale', ms: 101, score: 0.1 }));
  counted.count(slow, read({ userId: '2', ms: 100, score: 0.1 }));
  const weights = counted.changed().map(({ source, counts }) => [source, counts.users, counts.slowUsers]);
  expect(weights.sort()).toEqual([
    ['batch', 1, 0],
    ['live', 0.75, 0],
    ['stale', 0.25, 0.25],
  ]);
  expect(counted.changed().flatMap(({ counts }) => counts.scores.filter((n) => n > 0))).toEqual([1, 1]);
});

test('a source’s sums are reported again if its weight changed without a read of that source', () => {
  const counted = counter();
  counted.count(rollout(), read({ source: 'live' }));
  counted.told(counted.changed());
  counted.count(rollout(), read({ source: 'stale' }));
  expect(counted.changed().map(({ source, counts }) => [source, counts.users])).toEqual([
    ['live', 0.5],
    ['stale', 0.5],
  ]);
});

test('a user with an override is not counted', () => {
  const counted = counter();
  counted.count(rollout({ overridden: true }), read());
  expect(counted.changed()).toEqual([]);
});

test('changed sums are reported again as a whole, even if they changed while they were being stored', () => {
  const counted = counter();
  counted.count(rollout(), read());
  const sums = counted.changed();
  counted.count(rollout(), read());
  counted.told(sums);
  expect(readsOf(counted.changed())).toEqual([[0, 'stable', 'batch', 'p1', 2]]);
  counted.told(counted.changed());
  expect(counted.changed()).toEqual([]);
});

test('reads that end after their step count in that step; sums of older steps are reported once more, then forgotten', () => {
  const counted = counter();
  for (const step of [0, 1, 0, 1, 0]) counted.count(rollout({ step }), read());
  expect(readsOf(counted.changed()).sort()).toEqual([
    [0, 'stable', 'batch', 'p1', 3],
    [1, 'stable', 'batch', 'p2', 2],
  ]);
  for (const step of [2, 3]) counted.count(rollout({ step }), read());
  expect(counted.changed()).toHaveLength(4);
  counted.told(counted.changed());
  // The stored sums of this step have another id, so new sums do not replace them.
  counted.count(rollout({ step: 0 }), read());
  expect(readsOf(counted.changed())).toEqual([[0, 'stable', 'batch', 'p5', 1]]);
});
