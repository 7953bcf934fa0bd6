/** Histories of rollouts, written by hand: an answer is of an arm that could serve while the read was under way. */
import { describe, expect, it } from 'vitest';
import type { MoveRollout, Operation, Read } from '../history.ts';
import { fault, intendMove, moveRollout, read, rollBack, rulesOf, survey } from './written-history.fixture.ts';

const candidate = (at: number, more: Partial<Read> = {}, version = 2, userId = '1') =>
  read(at, { variant: 'candidate', modelVersion: String(version), computedBy: version, generation: '7', userId }, more);
const stable = (at: number, version = 1, more: Partial<Read> = {}, generation: string | null = String(5 + version)) =>
  read(at, { modelVersion: String(version), computedBy: version, generation }, more);
const unknown: Partial<MoveRollout> = { status: 503, retryAfter: 1, told: null };

/** Started at 0, and known to run from 20 to 30. */
const running: readonly Operation[] = [
  ...moveRollout(0, 'start', { state: 'preparing' }),
  survey(20, { state: 'running' }),
];

const violations: readonly (readonly [string, string, readonly Operation[]])[] = [
  ['an arm that nobody ever started', 'unassigned version', [candidate(0)]],
  [
    'an arm, asked for after it was taken back',
    'unassigned version',
    [...running, ...moveRollout(40, 'abort', { state: 'aborted' }), candidate(51)],
  ],
  [
    'an arm that has become the stable one',
    'unassigned version',
    [...running, ...moveRollout(40, 'promote', { state: 'promoted' }), candidate(51)],
  ],
  [
    'what was stable before a promotion',
    'unassigned version',
    [...running, ...moveRollout(40, 'promote', { state: 'promoted' }), stable(51)],
  ],
  [
    'what was stable before the last step',
    'unassigned version',
    [...running, ...moveRollout(40, 'advance', { state: 'promoted', step: 2 }), stable(51)],
  ],
  ['a version that is the stable one before anybody promoted it', 'unassigned version', [...running, stable(31, 2)]],
  ['an arm with the version of another', 'unassigned version', [...running, candidate(31, {}, 3)]],
  [
    'what a rollback left, of another version',
    'unassigned version',
    [
      ...running,
      ...moveRollout(40, 'promote', { state: 'promoted' }),
      intendMove(60, 'rollback'),
      { ...rollBack(60, 7, 6), fromVersion: 2, toVersion: 1 },
      stable(71, 2, {}, null),
    ],
  ],
  ['a user who is back in the stable arm', 'user changed arms', [...running, candidate(31), stable(42)]],
  [
    'the same, with a step between',
    'user changed arms',
    [...running, candidate(31), ...moveRollout(45, 'advance', { step: 1 }), stable(60)],
  ],
  ['a user who came to the arm without a step', 'user changed arms', [...running, stable(31), candidate(50)]],
  [
    'a user who came late, after a step',
    'user changed arms',
    [...running, ...moveRollout(40, 'advance', { step: 1 }), stable(51), candidate(70)],
  ],
  ['a prediction of another version than is named', 'mixed arms', [read(0, { modelVersion: '1', computedBy: 2 })]],
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
    'either arm while it begins',
    [...moveRollout(0, 'start', { state: 'preparing' }), candidate(11), survey(20, { state: 'running' })],
  ],
  [
    'the arm while it is taken back, and before it is told',
    [...running, candidate(31), intendMove(40, 'abort'), candidate(41), stable(44)],
  ],
  [
    'a read that was sent before it was taken back',
    [...running, ...moveRollout(40, 'abort', { state: 'aborted' }), candidate(45, { ended: 90 })],
  ],
  [
    'a user who comes with a step, while it is under way',
    [...running, stable(31), intendMove(50, 'advance'), candidate(51)],
  ],
  [
    'both after a move of which nobody knows, until it is over',
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
    'a start that nobody acknowledged',
    [...moveRollout(0, 'start', {}, unknown), candidate(20), survey(40, { state: 'running' }), candidate(60)],
  ],
  [
    'one of a single step, as soon as it may have begun',
    [
      ...moveRollout(0, 'start', { state: 'preparing', steps: [100] }),
      stable(20, 2),
      survey(40, { state: 'promoted', steps: [100] }, { stable: 2 }),
      stable(51, 2),
    ],
  ],
  [
    'an answer of the rollout before, which came late, and the stable arm in the next',
    [
      ...running,
      ...moveRollout(40, 'abort', { state: 'aborted' }),
      intendMove(51, 'start'),
      candidate(39, { ended: 60 }),
      stable(61),
    ],
  ],
  [
    'the same version in a later rollout',
    [
      ...running,
      ...moveRollout(40, 'abort', { state: 'aborted' }),
      ...moveRollout(60, 'start', { id: 'b', state: 'preparing' }),
      candidate(71),
    ],
  ],
  [
    'whatever it is once the past is lost, until there was a look',
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

  it('what is left of a rollout that turns out to be over, and of a call that could not work any more', () => {
    const lost = [...running, ...moveRollout(40, 'abort', {}, unknown)];
    expect(rulesOf([...lost, candidate(60)])).toEqual([]);
    expect(rulesOf([...lost, survey(60, { state: 'aborted' }), candidate(71)])).toEqual(['unassigned version']);
    // A rollback may work for as long as a process may have been stopped.
    const rolledBack = [
      intendMove(0, 'rollback'),
      { ...rollBack(0, 2, 1), status: 503, retryAfter: 1, toVersion: null },
    ];
    expect(rulesOf([...rolledBack, survey(40, null), stable(60, 3)])).toEqual([]);
    expect(rulesOf([...rolledBack, survey(70_000, null), stable(70_011, 3)])).toEqual(['unassigned version']);
  });

  it('an arm of a past that was lost, once there was a look', () => {
    const lost = [fault(40, 'begins', { losesHistory: true }), fault(50, 'over', { losesHistory: true })];
    expect(rulesOf([...running, ...lost, survey(60, null), candidate(71)])).toEqual(['unassigned version']);
    expect(rulesOf([...running, ...lost, survey(45, null), candidate(71)])).toEqual([]);
  });
});

describe('accepts', () => {
  it.each(innocent)('%s', (_, history) => expect(rulesOf(history)).toEqual([]));
});
