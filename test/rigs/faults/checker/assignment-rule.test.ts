/** Histories of rollouts, written by hand: an answer must be of an arm that could serve at some moment of its read. */
import { describe, expect, it } from 'vitest';
import type { MoveRollout, Operation, Read } from '../history.ts';
import { fault, intendMove, moveRollout, read, rollBack, rulesOf, survey } from './written-history.fixture.ts';

const candidate = (at: number, more: Partial<Read> = {}, version = 2, userId = '1') =>
  read(at, { variant: 'candidate', modelVersion: String(version), computedBy: version, generation: '7', userId }, more);
const stable = (at: number, version = 1, more: Partial<Read> = {}, generation: string | null = String(5 + version)) =>
  read(at, { modelVersion: String(version), computedBy: version, generation }, more);
const unverified = { source: 'stale', reason: 'unverified', contextVersion: null } as const;
const candidateUnverified = (at: number) =>
  read(at, { ...unverified, variant: 'candidate', modelVersion: '2', computedBy: 2, generation: null });
const unknown: Partial<MoveRollout> = { status: 503, retryAfter: 1, told: null };

/** A rollout that starts at 0. A survey from 20 to 30 reports it as running. */
const running: readonly Operation[] = [
  ...moveRollout(0, 'start', { state: 'preparing' }),
  survey(20, { state: 'running' }),
];

const violations: readonly (readonly [string, string, readonly Operation[]])[] = [
  ['an answer of an arm without a rollout', 'unassigned version', [candidate(0)]],
  [
    'an answer of the candidate to a read sent after the abort',
    'unassigned version',
    [...running, ...moveRollout(40, 'abort', { state: 'aborted' }), candidate(51)],
  ],
  [
    'the same, unverified',
    'unassigned version',
    [...running, ...moveRollout(40, 'abort', { state: 'aborted' }), candidateUnverified(51)],
  ],
  [
    'an unverified answer of the model version from which a rollback moved away',
    'unassigned version',
    [
      ...[...running, ...moveRollout(40, 'promote', { state: 'promoted' }), intendMove(60, 'rollback')],
      { ...rollBack(60, 7, 6), fromVersion: 2, toVersion: 1 },
      read(71, { ...unverified, modelVersion: '2', computedBy: 2, generation: null }),
    ],
  ],
  [
    'an answer of the candidate after its promotion to the stable arm',
    'unassigned version',
    [...running, ...moveRollout(40, 'promote', { state: 'promoted' }), candidate(51)],
  ],
  [
    'an answer of the former stable version after a promotion',
    'unassigned version',
    [...running, ...moveRollout(40, 'promote', { state: 'promoted' }), stable(51)],
  ],
  [
    'an answer of the former stable version after the last step',
    'unassigned version',
    [...running, ...moveRollout(40, 'advance', { state: 'promoted', step: 2 }), stable(51)],
  ],
  ['a candidate version in the stable arm before its promotion', 'unassigned version', [...running, stable(31, 2)]],
  ['an arm with the model version of another arm', 'unassigned version', [...running, candidate(31, {}, 3)]],
  [
    'an answer of the model version from which a rollback moved away',
    'unassigned version',
    [
      ...running,
      ...moveRollout(40, 'promote', { state: 'promoted' }),
      intendMove(60, 'rollback'),
      { ...rollBack(60, 7, 6), fromVersion: 2, toVersion: 1 },
      stable(71, 2, {}, null),
    ],
  ],
  ['a user who returns to the stable arm', 'user changed arms', [...running, candidate(31), stable(42)]],
  [
    'the same, with a step between',
    'user changed arms',
    [...running, candidate(31), ...moveRollout(45, 'advance', { step: 1 }), stable(60)],
  ],
  ['a user who enters the arm without a step', 'user changed arms', [...running, stable(31), candidate(50)]],
  [
    'a user who enters the arm late, after a step',
    'user changed arms',
    [...running, ...moveRollout(40, 'advance', { step: 1 }), stable(51), candidate(70)],
  ],
  [
    'a prediction of another version than the answer names',
    'mixed arms',
    [read(0, { modelVersion: '1', computedBy: 2 })],
  ],
  [
    'the same, stale and unverified',
    'mixed arms',
    [read(0, { computedBy: 2, source: 'stale', reason: 'unverified', contextVersion: null })],
  ],
  [
    'an answer that names no arm',
    'mixed arms',
    [read(0, { variant: null, source: 'stale', reason: 'unverified', contextVersion: null })],
  ],
  [
    'one tag in two arms',
    'shared tag',
    [
      ...running,
      read(5, { etag: 'a' }),
      read(31, { etag: 'a', variant: 'candidate', modelVersion: '2', computedBy: 2 }),
    ],
  ],
];

const innocent: readonly (readonly [string, readonly Operation[]])[] = [
  [
    'answers of either arm while the rollout begins',
    [...moveRollout(0, 'start', { state: 'preparing' }), candidate(11), survey(20, { state: 'running' })],
  ],
  [
    'answers of both arms while an abort is in progress',
    [...running, candidate(31), intendMove(40, 'abort'), candidate(41), stable(44)],
  ],
  [
    'an unverified answer of the candidate before the abort is acknowledged, also if a survey shows it',
    [
      ...[...running, candidateUnverified(31), ...moveRollout(40, 'abort', {}, { ...unknown, status: 504 })],
      ...[survey(60, { state: 'aborted' }), candidateUnverified(71)],
    ],
  ],
  [
    'an unverified answer of the stable arm after a step that the process does not know',
    [...running, ...moveRollout(40, 'advance', { step: 1 }), read(60, { ...unverified, generation: '6' })],
  ],
  [
    'an answer of the candidate to a read sent before the abort',
    [...running, ...moveRollout(40, 'abort', { state: 'aborted' }), candidate(45, { ended: 90 })],
  ],
  [
    'a user who enters the arm while a step is in progress',
    [...running, stable(31), intendMove(50, 'advance'), candidate(51)],
  ],
  [
    'answers of both arms after a move with an unknown result, until the rollout is over',
    [
      ...running,
      ...moveRollout(40, 'promote', {}, unknown),
      stable(60),
      stable(61, 2),
      candidate(62, {}, 2, '9'),
      ...moveRollout(80, 'abort', { state: 'aborted' }),
      stable(91),
    ],
  ],
  [
    'answers after a start that was not acknowledged',
    [...moveRollout(0, 'start', {}, unknown), candidate(20), survey(40, { state: 'running' }), candidate(60)],
  ],
  [
    'answers of a rollout with a single step, as soon as it may have begun',
    [
      ...moveRollout(0, 'start', { state: 'preparing', steps: [100] }),
      stable(20, 2),
      survey(40, { state: 'promoted', steps: [100] }, { stable: 2 }),
      stable(51, 2),
    ],
  ],
  [
    'a late answer of the previous rollout, and an answer of the stable arm in the next',
    [
      ...running,
      ...moveRollout(40, 'abort', { state: 'aborted' }),
      intendMove(51, 'start'),
      candidate(39, { ended: 60 }),
      stable(61),
    ],
  ],
  [
    'answers of the same version in a later rollout',
    [
      ...running,
      ...moveRollout(40, 'abort', { state: 'aborted' }),
      ...moveRollout(60, 'start', { id: 'b', state: 'preparing' }),
      candidate(71),
    ],
  ],
  [
    'any answer after the history was lost, until a survey',
    [
      ...running,
      fault(40, 'begins', { losesHistory: true }),
      fault(50, 'over', { losesHistory: true }),
      stable(60, 3),
      candidate(61, {}, 9),
    ],
  ],
];

describe('finds', () => {
  it.each(violations)('%s: %s', (_, rule, history) => expect(rulesOf(history)).toEqual([rule]));

  it('answers of a rollout that is known to be over, and of a call that can no longer take effect', () => {
    const lost = [...running, ...moveRollout(40, 'abort', {}, unknown)];
    expect(rulesOf([...lost, candidate(60)])).toEqual([]);
    expect(rulesOf([...lost, survey(60, { state: 'aborted' }), candidate(71)])).toEqual(['unassigned version']);
    // A rollback can take effect late, for as long as a process can be paused.
    const rolledBack = [
      intendMove(0, 'rollback'),
      { ...rollBack(0, 2, 1), status: 503, retryAfter: 1, toVersion: null },
    ];
    expect(rulesOf([...rolledBack, survey(40, null), stable(60, 3)])).toEqual([]);
    expect(rulesOf([...rolledBack, survey(70_000, null), stable(70_011, 3)])).toEqual(['unassigned version']);
  });

  it('an answer of an arm of the lost history, after a survey', () => {
    const lost = [fault(40, 'begins', { losesHistory: true }), fault(50, 'over', { losesHistory: true })];
    expect(rulesOf([...running, ...lost, survey(60, null), candidate(71)])).toEqual(['unassigned version']);
    expect(rulesOf([...running, ...lost, survey(45, null), candidate(71)])).toEqual([]);
  });
});

describe('accepts', () => {
  it.each(innocent)('%s', (_, history) => expect(rulesOf(history)).toEqual([]));
});
