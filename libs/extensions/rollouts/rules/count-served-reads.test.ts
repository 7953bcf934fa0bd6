import type { Answer } from '@tandem/freshness/answer';
import { answerOf } from '@tandem/freshness/answer.fixture';
import { type Assignments, everybodyIn, type ServedRollout } from '@tandem/freshness/certificate';
import { ASSIGNMENT, readOf } from '@tandem/freshness/certified-read.fixture';
import { TandemError } from '@tandem/freshness/errors';
import type { Predictor } from '@tandem/freshness/predictor';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import type { ServedSums } from './arm-counts.ts';
import { createServedReads } from './count-served-reads.ts';
import type { Exposure } from './exposures.ts';

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

const ROLLOUT: ServedRollout = { id: 'r', kind: 'canary', step: 2, overridden: false };
const CANDIDATE = { ...ASSIGNMENT, arm: 'candidate', modelVersionId: 'the candidate' };
/** Users with even ids are in the candidate's arm. */
const ASSIGNMENTS: Assignments = {
  ...everybodyIn(ASSIGNMENT),
  rollout: {
    id: 'r',
    kind: 'canary',
    step: 2,
    arms: [CANDIDATE],
    plan: { kind: 'shadow', version: 2, share: 0, maxPerSecond: 0 },
    bucketOf: () => 0,
    servedTo: () => ROLLOUT,
  },
  of: (userId) => (Number(userId) % 2 === 0 ? CANDIDATE : ASSIGNMENT),
};
const answer = (changes: Partial<Answer> = {}) =>
  answerOf({ prediction: { label: 'x', score: 0.5, other: 0.9 }, rollout: ROLLOUT, generationNumber: 7, ...changes });

function world({
  assignments = ASSIGNMENTS as Assignments | undefined,
  decision = {},
  loaded = null as string | null,
} = {}) {
  const kept = { sums: [] as ServedSums[], exposures: [] as Exposure[], flushes: [] as string[] };
  let broken: readonly unknown[] = [];
  const put = <T>(into: T[]) =>
    async function keep(all: readonly T[]) {
      if (broken.includes(into)) throw new Error('Postgres is away');
      into.push(...all);
    };
  const reads = createServedReads({
    counts: { put: put(kept.sums) },
    exposures: { put: put(kept.exposures) },
    assignments: () => assignments,
    mayInfer: loaded === null ? undefined : (modelVersionId) => modelVersionId === loaded,
    newId: () => 'process',
    now: () => 0,
    onFlush: (outcome) => void kept.flushes.push(outcome),
    flushMs: 1_000,
  });
  const { predictor } = readOf();
  const asked: Predictor = { ...predictor, policy: { ...predictor.policy, ...decision } };
  const note = (result: Answer | TandemError, userId = '1', ms = 1) =>
    reads.note({ predictor: asked, userId, result, ms });
  const fail = (...which: readonly unknown[]) => {
    broken = which;
  };
  return { kept, note, reads, fail };
}

const error = (code: ConstructorParameters<typeof TandemError>[0]) => new TandemError(code, 'no');

test('reads are not recorded without a rollout', async () => {
  const { kept, note, reads } = world({ assignments: everybodyIn(ASSIGNMENT) });
  note(answer({ rollout: null }));
  note(error('live_failed'));
  await reads.close();
  expect([kept.sums, kept.exposures]).toEqual([[], []]);
});

test('served reads are recorded at the next flush, and again only if they changed', async () => {
  const { kept, note } = world();
  note(answer());
  note(answer());
  await vi.advanceTimersByTimeAsync(1_000);
  expect(kept.sums.map(({ arm, source, counts }) => [arm, source, counts.reads])).toEqual([['stable', 'batch', 2]]);
  expect(kept.exposures).toMatchObject([{ rolloutId: 'r', step: 2, userId: '1', arm: 'stable', contextVersion: 3 }]);
  await vi.advanceTimersByTimeAsync(5_000);
  expect([kept.sums.length, kept.exposures.length]).toEqual([1, 1]);
  note(answer());
  await vi.advanceTimersByTimeAsync(1_000);
  expect(kept.sums.at(-1)?.counts.reads).toBe(3);
  expect(kept.exposures).toHaveLength(1);
});

test.each(['sums', 'exposures'] as const)(
  '%s that could not be written are written at the next flush, and nothing is written twice',
  async (which) => {
    const { kept, note, reads, fail } = world();
    fail(kept[which]);
    note(answer());
    await vi.advanceTimersByTimeAsync(2_000);
    expect([kept.flushes, kept[which]]).toEqual([['failed', 'failed'], []]);
    fail();
    note(answer({ variant: 'candidate' }), '2');
    await reads.close();
    expect(kept.sums.map(({ arm, counts }) => [arm, counts.reads])).toEqual([
      ['stable', 1],
      ['candidate', 1],
    ]);
    expect(kept.exposures.map(({ userId }) => userId)).toEqual(['1', '2']);
  },
);

test.each(['live_timeout', 'caller_gone'] as const)(
  '%s is counted in the user’s arm, and exposes the user to it',
  async (late) => {
    const { kept, note, reads } = world();
    note(error(late), '2');
    note(error('live_failed'), '1');
    await reads.close();
    expect(kept.sums.map(({ arm, source, counts }) => [arm, source, counts.errors])).toEqual([
      ['candidate', 'error', 1],
      ['stable', 'error', 1],
    ]);
    expect(kept.exposures.map(({ userId, arm, source }) => [userId, arm, source])).toEqual([
      ['2', 'candidate', 'error'],
      ['1', 'stable', 'error'],
    ]);
  },
);

test.each(['unknown_user', 'not_cached', 'history_changed', 'context_not_reached', 'rate_limited'] as const)(
  '%s does not count against an arm',
  async (code) => {
    const { kept, note, reads } = world();
    note(error(code));
    await reads.close();
    expect([kept.sums, kept.exposures]).toEqual([[], []]);
  },
);

test.each<[string, object, Partial<Answer>, number | undefined]>([
  ['of the decision', { decision: { output: 'other', threshold: 0.5 } }, {}, 18],
  ['of the first number', {}, {}, 10],
  ['of a boolean decision', { decision: { output: 'yes', threshold: 1 } }, { prediction: { yes: true } }, 19],
  ['undefined if the default was served', {}, { source: 'default' }, undefined],
])('the score is %s', async (_, decision, changes, place) => {
  const { kept, note, reads } = world({ decision });
  note(answer(changes));
  await reads.close();
  const scores = kept.sums[0]?.counts.scores ?? [];
  expect(scores.indexOf(1)).toBe(place ?? -1);
});

test('answers of a process that lacks the model version expose users but do not count against the arm', async () => {
  const { kept, note, reads } = world({ loaded: ASSIGNMENT.modelVersionId });
  for (const source of ['stale', 'default', 'batch'] as const) note(answer({ source, variant: 'candidate' }), '2');
  note(error('overloaded'), '4');
  note(answer({ source: 'stale' }), '1');
  await reads.close();
  expect(kept.sums.map(({ arm, source, counts }) => [arm, source, counts.reads])).toEqual([
    ['candidate', 'batch', 1],
    ['stable', 'stale', 1],
  ]);
  expect(kept.exposures.map(({ userId }) => userId)).toEqual(['2', '4', '1']);
});

test('answers of a caller over its quota expose users but do not count against the arm', async () => {
  const { kept, note, reads } = world();
  for (const source of ['stale', 'default'] as const) note(answer({ source, reason: 'overloaded', isOverQuota: true }));
  note(answer({ source: 'stale', reason: 'overloaded' }), '2');
  await reads.close();
  expect(kept.sums.map(({ source, counts }) => [source, counts.reads])).toEqual([['stale', 1]]);
  expect(kept.exposures.map(({ userId }) => userId)).toEqual(['1', '2']);
});

test('a read that lacks request features which an arm’s version needs is an error of that arm', async () => {
  const { kept, note, reads } = world();
  note(error('request_features_required'), '2');
  note(error('invalid_input'), '2');
  await reads.close();
  expect(kept.sums.map(({ arm, counts }) => [arm, counts.errors])).toEqual([['candidate', 1]]);
});
