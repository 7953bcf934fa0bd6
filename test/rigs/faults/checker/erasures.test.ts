/** Erasures in histories written by hand: the checker reports a read served after an erasure, but not an overlapping read. */
import { describe, expect, it } from 'vitest';
import type { Operation } from '../history.ts';
import { erase, event, fault, read, readmit, rulesOf } from './written-history.fixture.ts';

const UNKNOWN = { status: 404, answers: [] } as const;
const ONE_OF_MANY = { status: 404, source: null, reason: null, score: null } as const;
const UNVERIFIED = { source: 'stale', reason: 'unverified', contextVersion: null } as const;
const DEFAULT = { source: 'default', reason: 'missing', score: 0, predictedFromContextVersion: null } as const;
const REFUSED = { status: 503, retryAfter: 1, contextVersion: null } as const;
const LOST = { status: null, failure: 'timeout', contextVersion: null } as const;
/** Longer than a call can take effect after its sender stopped waiting for it. */
const LONG = 100_000;

type Written = readonly (Operation | readonly Operation[])[];

const violations: readonly (readonly [string, string, Written])[] = [
  ['a fresh answer after the erasure', 'erased user served', [erase(0, 1), read(11, { label: 2 })]],
  ['an unverified answer', 'erased user served', [erase(0, 1), read(11, { ...UNVERIFIED, label: 0 })]],
  ['a default', 'erased user served', [erase(0, 1), read(11, DEFAULT)]],
  ['an answer in a read of many', 'erased user served', [erase(0, 1), read(11, { label: 0 }, { many: true })]],
  [
    'a 304 for an earlier answer',
    'erased user served',
    [erase(0, 1), read(11, { label: 0, etag: 'a' }, { status: 304, directives: { ifNoneMatch: 'a' } })],
  ],
  [
    'an answer from before the erasure of a readmitted user',
    'erased user served',
    [erase(0, 1), readmit(20, 2), read(31, { ...UNVERIFIED, label: 1 })],
  ],
  [
    'an answer from before the first erasure while the second is in progress',
    'erased user served',
    [erase(0, 1), readmit(20, 2), erase(40, 3, { ended: 90 }), read(50, { ...UNVERIFIED, label: 1 })],
  ],
  ['an accepted event of an erased user', 'event versions', [erase(0, 1), event(11, { version: 2 })]],
  [
    'a dropped event with another version than the tombstone’s',
    'event versions',
    [erase(0, 1), event(11, { version: 2, status: 'erased' })],
  ],
  ['a dropped event of a user who was never erased', 'event versions', [event(11, { version: 1, status: 'erased' })]],
  [
    'an event that is dropped after the readmission',
    'event versions',
    [erase(0, 1), readmit(20, 2), event(31, { version: 2, status: 'erased' })],
  ],
  [
    'an event with the version of the tombstone',
    'event versions',
    [erase(0, 1), readmit(20, 2), event(31, { version: 1 })],
  ],
  ['an overlapping event with the tombstone’s version', 'event versions', [erase(0, 1), event(5, { version: 1 })]],
  ['a tombstone with an overlapping event’s version', 'event versions', [event(0, { version: 1 }), erase(5, 1)]],
  [
    'a dropped event with an earlier version',
    'event versions',
    [event(0, { version: 3 }), erase(11, 4, { ended: 60 }), event(20, { id: 'b', version: 2, status: 'erased' })],
  ],
  ['a tombstone with a lower version than before', 'event versions', [event(0, { version: 3 }), erase(11, 1)]],
  ['a tombstone with the version of an event', 'event versions', [event(0, { version: 3 }), erase(11, 3)]],
  ['a readmission that does not raise the version', 'event versions', [erase(0, 1), readmit(20, 1)]],
  [
    'a dropped event that is repeated and gets another version',
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
    'a 404 for a user of many, while another of them is erased',
    'unexpected status',
    [erase(0, 1), read(11, { userId: '2', ...ONE_OF_MANY }, { many: true })],
  ],
  ['a refusal to erase', 'unexpected status', [erase(0, 1, { status: 409, contextVersion: null })]],
  [
    'a label above all erasures and events',
    'untrue label',
    [erase(0, 1), readmit(20, 2), read(31, { label: 3, score: 0 })],
  ],
  [
    'an answer after the readmission that lacks the change of a dropped event',
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
  [
    'a 404 for the erased user, in a read of one user and of many',
    [erase(0, 1), read(11, {}, UNKNOWN), read(11, ONE_OF_MANY, { many: true })],
  ],
  [
    'either answer to a read sent before the acknowledgement',
    [erase(0, 1, { ended: 30 }), read(5, {}, UNKNOWN), read(5, { label: 0 }), read(25, { label: 0 })],
  ],
  [
    'either answer while a readmission is in progress',
    [erase(0, 1), ...readmit(20, 2, { ended: 60 }), read(15, {}, UNKNOWN), read(25, { label: 2, score: 0 })],
  ],
  [
    'an answer computed after the readmission, with a label above its changes',
    [event(0, { version: 1 }), erase(11, 2), readmit(30, 3), read(41, { label: 3, score: 1 })],
  ],
  [
    'dropped events that share a version and are repeated later, one of them first acknowledged as a duplicate',
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
  ['an erasure that is requested twice', [erase(0, 1), erase(20, 1), read(31, {}, UNKNOWN), readmit(40, 2)]],
  [
    'an erasure that was acknowledged by its second attempt',
    [erase(0, 1, REFUSED), erase(20, 1, { firstSent: 0 }).slice(1), read(31, {}, UNKNOWN)],
  ],
  [
    'an unacknowledged erasure that takes effect after the readmission',
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
    'an unacknowledged readmission that takes effect after the next erasure',
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
    'a user whose erasure was lost with the history',
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

  it('is reported again once no earlier attempt can take effect', () => {
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

describe('a legal history', () => {
  it.each(legal)('%s', (_, history) => {
    expect(rulesOf(inOrder(history))).toEqual([]);
  });
});

function inOrder(history: Written): readonly Operation[] {
  return history.flat().toSorted((a, b) => a.ended - b.ended);
}
