/** Erasures in histories written by hand: a read served after an erasure is found, an overlapping read is not. */
import { describe, expect, it } from 'vitest';
import type { Operation } from '../history.ts';
import { erase, event, fault, read, readmit, rulesOf } from './written-history.fixture.ts';

const UNKNOWN = { status: 404, answers: [] } as const;
const ONE_OF_MANY = { status: 404, source: null, reason: null, score: null } as const;
const UNVERIFIED = { source: 'stale', reason: 'unverified', contextVersion: null } as const;
const DEFAULT = { source: 'default', reason: 'missing', score: 0, predictedFromContextVersion: null } as const;
const REFUSED = { status: 503, retryAfter: 1, contextVersion: null } as const;
const LOST = { status: null, failure: 'timeout', contextVersion: null } as const;
/** Longer than a call works after its sender has given it up. */
const LONG = 100_000;

type Written = readonly (Operation | readonly Operation[])[];

const violations: readonly (readonly [string, string, Written])[] = [
  ['an answer called fresh', 'erased user served', [erase(0, 1), read(11, { label: 2 })]],
  ['one that nobody vouches for', 'erased user served', [erase(0, 1), read(11, { ...UNVERIFIED, label: 0 })]],
  ['a default', 'erased user served', [erase(0, 1), read(11, DEFAULT)]],
  ['one of many', 'erased user served', [erase(0, 1), read(11, { label: 0 }, { many: true })]],
  [
    'a 304 to what was answered before',
    'erased user served',
    [erase(0, 1), read(11, { label: 0, etag: 'a' }, { status: 304, directives: { ifNoneMatch: 'a' } })],
  ],
  [
    'an answer from before the erasure, though the user is readmitted',
    'erased user served',
    [erase(0, 1), readmit(20, 2), read(31, { ...UNVERIFIED, label: 1 })],
  ],
  [
    'one of before the first erasure while the second is under way',
    'erased user served',
    [erase(0, 1), readmit(20, 2), erase(40, 3, { ended: 90 }), read(50, { ...UNVERIFIED, label: 1 })],
  ],
  ['an event that is taken of an erased user', 'event versions', [erase(0, 1), event(11, { version: 2 })]],
  [
    'an event that is dropped with another version than the tombstone’s',
    'event versions',
    [erase(0, 1), event(11, { version: 2, status: 'erased' })],
  ],
  [
    'an event that is dropped, though nobody was erased',
    'event versions',
    [event(11, { version: 1, status: 'erased' })],
  ],
  [
    'one that is dropped after the readmission',
    'event versions',
    [erase(0, 1), readmit(20, 2), event(31, { version: 2, status: 'erased' })],
  ],
  [
    'an event with the version of the tombstone',
    'event versions',
    [erase(0, 1), readmit(20, 2), event(31, { version: 1 })],
  ],
  ['the same while neither knew of the other', 'event versions', [erase(0, 1), event(5, { version: 1 })]],
  ['and the other way round', 'event versions', [event(0, { version: 1 }), erase(5, 1)]],
  [
    'a dropped event with a version of before',
    'event versions',
    [event(0, { version: 3 }), erase(11, 4, { ended: 60 }), event(20, { id: 'b', version: 2, status: 'erased' })],
  ],
  ['a tombstone that starts again', 'event versions', [event(0, { version: 3 }), erase(11, 1)]],
  ['one with the version of an event', 'event versions', [event(0, { version: 3 }), erase(11, 3)]],
  ['a readmission that raises nothing', 'event versions', [erase(0, 1), readmit(20, 1)]],
  [
    'a dropped event that comes back as another version',
    'event versions',
    [
      erase(0, 1),
      event(11, { id: 'a', version: 1, status: 'erased' }),
      readmit(30, 2),
      event(41, { id: 'a', version: 3, status: 'duplicate', firstSent: 11 }),
    ],
  ],
  [
    'a user who stays unknown after the readmission',
    'unexpected status',
    [erase(0, 1), readmit(20, 2), read(31, {}, UNKNOWN)],
  ],
  [
    'an unknown user of many, of whom another is erased',
    'unexpected status',
    [erase(0, 1), read(11, { userId: '2', ...ONE_OF_MANY }, { many: true })],
  ],
  ['a refusal to erase', 'unexpected status', [erase(0, 1, { status: 409, contextVersion: null })]],
  [
    'a label above what erasures and events explain',
    'untrue label',
    [erase(0, 1), readmit(20, 2), read(31, { label: 3, score: 0 })],
  ],
  [
    'an answer after the readmission that does not count a dropped event’s change',
    'stale called fresh',
    [
      erase(0, 1),
      event(11, { version: 1, status: 'erased', score: 4 }),
      readmit(30, 2),
      read(41, { label: 2, score: 3 }),
    ],
  ],
];

const legal: readonly (readonly [string, Written])[] = [
  ['an unknown user, alone and of many', [erase(0, 1), read(11, {}, UNKNOWN), read(11, ONE_OF_MANY, { many: true })]],
  [
    'either answer to who asked before the acknowledgement',
    [erase(0, 1, { ended: 30 }), read(5, {}, UNKNOWN), read(5, { label: 0 }), read(25, { label: 0 })],
  ],
  [
    'either answer while a readmission is under way',
    [erase(0, 1), ...readmit(20, 2, { ended: 60 }), read(15, {}, UNKNOWN), read(25, { label: 2, score: 0 })],
  ],
  [
    'what is computed after the readmission, labelled above its changes',
    [event(0, { version: 1 }), erase(11, 2), readmit(30, 3), read(41, { label: 3, score: 1 })],
  ],
  [
    'dropped events with one version, repeated later, of whom one was first told so',
    [
      erase(0, 1, { ended: 100 }),
      event(10, { id: 'a', version: 1, status: 'erased' }),
      event(20, { id: 'b', version: 1, status: 'duplicate', firstSent: 5 }),
      event(110, { id: 'a', version: 1, status: 'duplicate', firstSent: 10 }),
      event(110, { id: 'c', version: 1, status: 'erased' }),
      readmit(130, 2),
      event(150, { id: 'd', version: 1, status: 'duplicate', firstSent: 115 }),
      event(170, { version: 3 }),
    ],
  ],
  ['an erasure that is asked for twice', [erase(0, 1), erase(20, 1), read(31, {}, UNKNOWN), readmit(40, 2)]],
  [
    'an erasure that was acknowledged by its second attempt',
    [erase(0, 1, REFUSED), erase(20, 1, { firstSent: 0 }).slice(1), read(31, {}, UNKNOWN)],
  ],
  [
    'an attempt that works after the readmission, for as long as it lasts',
    [
      fault(0, 'begins', { mayHang: ['api 1'] }),
      erase(0, 1, LOST),
      erase(20, 1),
      readmit(40, 2),
      read(100, {}, UNKNOWN),
      event(110, { version: 3, status: 'erased' }),
      erase(130, 3),
      readmit(150, 4),
      read(LONG, {}, UNKNOWN),
    ],
  ],
  [
    'a readmission that works after the next erasure',
    [
      fault(0, 'begins', { mayHang: ['api 1'] }),
      erase(0, 1),
      readmit(20, 2, { ...LOST, wasErased: null }),
      readmit(40, 2, { wasErased: false }),
      erase(60, 3),
      read(80, { label: 4, score: 0 }),
    ],
  ],
  [
    'a user who is back with the history that came back',
    [
      erase(0, 5),
      fault(20, 'begins', { losesHistory: true }),
      fault(40, 'over', { losesHistory: true }),
      read(50, { label: 3 }),
      read(70, {}, UNKNOWN),
    ],
  ],
];

describe('a violation', () => {
  it.each(violations)('%s: %s', (_, rule, history) => {
    expect(rulesOf(inOrder(history))).toContain(rule);
  });

  it('is found again once no attempt of before can work any more', () => {
    const doubtful = [
      fault(0, 'begins', { mayHang: ['api 1'] }),
      erase(0, 1, LOST),
      readmit(20, 2, { ...LOST, wasErased: null }),
      fault(40, 'over', { mayHang: ['api 1'] }),
    ];
    const certain = [erase(LONG, 3), read(LONG + 20, { ...UNVERIFIED, label: 4, score: 4 })];
    expect(rulesOf(inOrder([...doubtful, ...certain]))).toEqual(['erased user served']);
    const back = [erase(LONG, 3), readmit(LONG + 20, 4), read(LONG + 40, {}, UNKNOWN)];
    expect(rulesOf(inOrder([...doubtful, ...back]))).toEqual(['unexpected status']);
  });
});

describe('what is allowed', () => {
  it.each(legal)('%s', (_, history) => {
    expect(rulesOf(inOrder(history))).toEqual([]);
  });
});

function inOrder(history: Written): readonly Operation[] {
  return history.flat().toSorted((a, b) => a.ended - b.ended);
}
