/** Histories written by hand: the checker catches each violation, and accepts legal histories that resemble one. */
import { describe, expect, it } from 'vitest';
import type { Contract, Operation } from '../history.ts';
import { change, event, fault, read, rollBack, rulesOf } from './written-history.fixture.ts';

const contract: Contract = {
  kind: 'contract',
  at: 0,
  ended: 0,
  routes: {
    'GET /v1/predictions/{predictor}/{userId}': [200, 304, 503, 504],
    'POST /v1/predictions/{predictor}': [200, 503],
    'POST /v1/events': [202, 409, 503],
    'POST /v1/runs': [202, 409, 503],
  },
  deadlines: {
    read: 1_000,
    event: 1_000,
    run: 1_000,
    rollback: 1_000,
    rollout: 1_000,
    survey: 1_000,
    generations: 1_000,
    erase: 1_000,
    readmit: 1_000,
  },
};
const tableChange = (at: number, value: number): Operation => ({
  ...{ kind: 'table change', at, ended: at + 10, changes: [], values: [{ userId: '1', value }] },
});
const refused = { status: 503, retryAfter: 1, answers: [] } as const;
const live = { source: 'live', reason: 'fresh', generation: null } as const;

const violations: readonly (readonly [string, string, readonly Operation[]])[] = [
  [
    'a fresh answer older than an event acknowledged before the read',
    'stale called fresh',
    [event(0, { version: 1 }), read(11, { label: 0 })],
  ],
  [
    'a fresh answer older than an earlier answer showed',
    'stale called fresh',
    [read(0, { label: 3 }), read(11, { label: 2 })],
  ],
  [
    'a new label with an old score',
    'stale called fresh',
    [event(0, { version: 1, score: 5 }), read(11, { label: 1, score: 4 })],
  ],
  [
    'a fresh answer with a label below its own context version',
    'stale called fresh',
    [read(0, { label: 1, contextVersion: 2 })],
  ],
  [
    'a 304 for an old body',
    'stale called fresh',
    [event(0, { version: 1 }), read(11, { label: 0, etag: 'a' }, { status: 304, directives: { ifNoneMatch: 'a' } })],
  ],
  [
    'a value that a later accepted event replaced',
    'older event value',
    [event(0, { version: 1, told: 3 }), event(20, { version: 2, told: 5 }), read(31, { label: 2, told: 3 })],
  ],
  [
    'an old value, with a later event that carries no value',
    'older event value',
    [event(0, { version: 1, told: 5 }), event(20, { version: 2 }), read(31, { label: 2, told: 3 })],
  ],
  ['an old value of rows that users share', 'stale called fresh', [tableChange(0, 5), read(11, { label: 7, told: 3 })]],
  [
    'an unverified score that contradicts the event of its label',
    'untrue label',
    [
      read(0, { label: 1, score: 1, contextVersion: null, source: 'stale', reason: 'unverified' }),
      event(0, { version: 1, score: 2 }),
      read(11, { label: 1, score: 1, contextVersion: null, source: 'stale', reason: 'unverified' }),
    ],
  ],
  [
    'a demanded inference that missed an earlier change',
    'features from before the request',
    [change(0, 1), read(11, { ...live, reason: 'requested', label: 0, score: 0 }, { directives: { noCache: true } })],
  ],
  [
    'a fresh answer while no API reaches Postgres',
    'fresh without Postgres',
    [fault(0, 'begins', { cutsPostgres: true }), fault(5, 'holds', { cutsPostgres: true }), read(6, { label: 0 })],
  ],
  [
    'a generation older than that of an earlier answer',
    'withdrawn generation',
    [read(0, { generation: '2' }), read(11, { generation: '1' })],
  ],
  [
    'a generation that was rolled back',
    'withdrawn generation',
    [read(0, { generation: '2' }), rollBack(20, 2, 1), read(31, { generation: '2' })],
  ],
  [
    'a repeated event with another version',
    'event versions',
    [event(0, { id: 'a', version: 1 }), event(11, { id: 'a', version: 2, firstSent: 0, status: 'duplicate' })],
  ],
  [
    'one version for two events',
    'event versions',
    [event(0, { id: 'a', version: 1 }), event(0, { id: 'b', version: 1 })],
  ],
  [
    'a version below that of an event acknowledged before',
    'event versions',
    [event(0, { id: 'a', version: 2 }), event(11, { id: 'b', version: 1 })],
  ],
  [
    'an event that is accepted twice',
    'event versions',
    [event(0, { id: 'a', version: 1 }), event(11, { id: 'a', version: 1, firstSent: 0 })],
  ],
  [
    'an accepted payload that conflicts with a known id',
    'payload conflict',
    [event(0, { id: 'a', version: 1 }), event(11, { id: 'a', version: 1, conflicting: true, status: 'duplicate' })],
  ],
  ['409 to an event without a conflict', 'unexpected status', [event(0, { version: 1 }, { status: 409, results: [] })]],
  [
    'a status that the API document does not declare',
    'undeclared status',
    [contract, read(0, {}, { ...refused, status: 429 })],
  ],
  [
    'a 404 for a known user, among many',
    'unexpected status',
    [read(0, { userId: '2', status: 404, source: null, reason: null, score: null }, { many: true })],
  ],
  ['504 although an inference was allowed', 'unexpected status', [read(0, {}, { status: 504, answers: [] })]],
  ['an answer too late', 'late', [contract, read(0, {}, { ended: 1_001 })]],
  [
    'a reset long after a fault',
    'unreachable without a fault',
    [fault(0, 'begins'), fault(10, 'over'), read(5_000, {}, { status: null, failure: 'reset', answers: [] })],
  ],
  ['a stack trace in a problem', 'leak', [read(0, {}, { ...refused, leak: 'a stack trace' })]],
  ['fewer answers than users', 'wrong user', [read(0, {}, { userIds: ['1', '2'], many: true })]],
];

const legal: readonly (readonly [string, readonly Operation[]])[] = [
  [
    'an event of a lost history, sent again and accepted after a higher value',
    [event(0, { version: 1, told: 5 }), event(20, { version: 2, told: 3 }), read(31, { label: 2, told: 3 })],
  ],
  [
    'an event of a lost history that is read before it is acknowledged again',
    [event(0, { version: 1, told: 5 }), read(31, { label: 2, told: 3 }), event(20, { version: 2, told: 3 })],
  ],
  ['an event acknowledged after the read was sent', [event(0, { version: 1 }), read(9, { label: 0 })]],
  ['an event acknowledged at the moment when the read was sent', [event(0, { version: 1 }), read(10, { label: 0 })]],
  ['an answer newer than any acknowledgement', [read(0, { ...live, label: 3 }), event(0, { version: 1 })]],
  [
    'an old answer that is marked as unverified',
    [event(0, { version: 1 }), read(11, { source: 'stale', reason: 'unverified', label: 0, contextVersion: null })],
  ],
  ['overlapping events in either order', [event(0, { id: 'b', version: 2 }), event(5, { id: 'a', version: 1 })]],
  [
    'a repetition that is acknowledged before the first attempt',
    [
      event(5, { id: 'a', version: 1, firstSent: 0, status: 'duplicate' }),
      event(8, { id: 'b', version: 2 }),
      event(0, { id: 'a', version: 1 }, { ended: 30 }),
    ],
  ],
  [
    'an event whose first attempt was applied, but not acknowledged',
    [
      event(0, { id: 'a', version: 1 }, { status: 503, retryAfter: 1, results: [] }),
      event(11, { id: 'b', version: 2 }),
      event(30, { id: 'a', version: 1, firstSent: 0, status: 'duplicate' }),
    ],
  ],
  [
    'a conflicting payload that is refused',
    [
      event(0, { id: 'a', version: 1 }),
      event(11, { id: 'a', version: 1, conflicting: true }, { status: 409, results: [] }),
    ],
  ],
  ['a silent change that no stored answer shows', [change(0, 1), read(11, { label: 0 })]],
  ['504 to only-if-cached', [contract, read(0, {}, { status: 504, answers: [], directives: { onlyIfCached: true } })]],
  [
    'fresh answers before Postgres is cut off, and while the fault is being lifted',
    [
      fault(0, 'begins', { cutsPostgres: true }),
      read(4, { label: 0 }),
      fault(5, 'holds', { cutsPostgres: true }),
      read(5, { label: 0 }),
      fault(20, 'lifts', { cutsPostgres: true }),
      read(21, { label: 0 }),
    ],
  ],
  ['a connection reset by a kill', [fault(0, 'begins'), read(1, {}, { status: null, failure: 'reset', answers: [] })]],
  [
    'a call that hangs while its API is paused',
    [
      contract,
      fault(0, 'begins', { mayHang: ['api 1'] }),
      fault(1_500, 'over', { mayHang: ['api 1'] }),
      read(100, {}, { ended: 1_600 }),
    ],
  ],
  [
    'an earlier generation while a rollback to it is in progress',
    [read(0, { generation: '2' }), read(30, { generation: '1' }), { ...rollBack(25, 2, 1), ended: 60 }],
  ],
  [
    'answers below acknowledged versions, after the history was lost',
    [
      event(0, { version: 7 }),
      fault(20, 'begins', { losesHistory: true }),
      fault(40, 'over', { losesHistory: true }),
      read(50, { label: 3 }),
      event(61, { id: 'after', version: 4 }),
      // The event's row change is lost, but the event is applied, under its own id or under a conflicting one.
      event(80, { id: 'retried', version: 5, score: 9, changedAt: 5 }),
      read(91, { label: 5, score: 4 }),
      event(110, { id: 'lost', version: 6, score: 9, changedAt: 5, conflicting: true }),
      event(121, { id: 'lost', version: 6, score: 9, changedAt: 5 }, { status: 409, results: [] }),
      read(130, {}, { status: 409, answers: [], directives: { minContext: 7 } }),
    ],
  ],
];

describe('a violation', () => {
  it.each(violations)('%s: %s', (_, rule, history) => {
    expect(rulesOf(inOrder(history))).toContain(rule);
  });
});

describe('a legal history', () => {
  it.each(legal)('%s', (_, history) => {
    expect(rulesOf(inOrder(history))).toEqual([]);
  });
});

it('judges answers of the new history after the old one was lost', () => {
  const lost = [
    event(0, { version: 7 }),
    fault(20, 'begins', { losesHistory: true }),
    fault(40, 'over', { losesHistory: true }),
  ];
  const old = read(61, { label: 3, contextVersion: 4 });
  expect(rulesOf([...lost, event(50, { id: 'after', version: 4 }), old])).toContain('stale called fresh');
});

it('does not judge the freshness of a read that took longer than its memory', () => {
  const events = Array.from({ length: 100 }, (_, i) => event(i * 2_000, { version: i + 1 }));
  const slow = read(0, { label: 0 }, { ended: 199_990 });
  expect(rulesOf([contract, ...events, slow])).toEqual(['late']);
});

function inOrder(history: readonly Operation[]): readonly Operation[] {
  return history.toSorted((a, b) => a.ended - b.ended);
}
