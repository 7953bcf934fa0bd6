import { describe, expect, it } from 'vitest';
import type { Fault, Operation, Read } from '../history.ts';
import { fault, intendMove, moveRollout, read, rollBack, rulesOf } from './written-history.fixture.ts';

const demanded = { source: 'live', reason: 'requested', generation: null, stored: true } as const;

/** Makes a `no-cache` read at 0, whose answer was computed at 100. */
function noCache(answered: Parameters<typeof read>[1] = {}, more: Partial<Read> = {}): Read {
  return read(0, { ...demanded, computedAt: 100, ...answered }, { directives: { noCache: true }, ...more });
}

/** Makes a plain read, whose answer was computed at 99, before the demanded answer. */
const older = (at: number, answered: Parameters<typeof read>[1] = {}) => read(at, { computedAt: 99, ...answered });

const FOUND = ['older than demanded'];

it('finds a plain answer that is older than a stored answer to no-cache', () => {
  expect(rulesOf([noCache(), older(11)])).toEqual(FOUND);
  expect(rulesOf([noCache(), read(11, { computedAt: 100 }), read(22, { computedAt: 101 })])).toEqual([]);
});

const innocent: readonly (readonly [string, readonly Operation[]])[] = [
  ['of a read that overlaps', [noCache(), older(9)]],
  ['with a higher label', [noCache(), older(11, { label: 1 })]],
  ['of another user', [noCache(), older(11, { userId: '2' })]],
  [
    'of another arm',
    [
      ...moveRollout(-20, 'start', { state: 'preparing' }),
      noCache(),
      older(11, { variant: 'candidate', modelVersion: '2', computedBy: 2 }),
    ],
  ],
  ['that is stale', [noCache(), older(11, { source: 'stale', reason: 'unverified', contextVersion: null })]],
  ['after an answer that was not stored', [read(0, { ...demanded, computedAt: 100 }), older(11)]],
  ['of a user with an event', [noCache({ label: 1 }), older(11, { label: 1 })]],
];

describe('accepts an older plain answer', () => {
  it.each(innocent)('%s', (_, history) => expect(rulesOf(history)).toEqual([]));

  it('once a rollback may have withdrawn the demanded answer, and judges answers to later reads', () => {
    expect(rulesOf([noCache(), intendMove(11, 'rollback'), older(12)])).toEqual([]);
    expect(rulesOf([noCache(), intendMove(11, 'abort'), older(12)])).toEqual([]);
    expect(rulesOf([noCache(), intendMove(11, 'start'), older(12)])).toEqual(FOUND);
    const during = [noCache({}, { at: 5, ended: 15 }), older(20)];
    expect(rulesOf([intendMove(0, 'rollback'), ...during])).toEqual([]);
    const unknown = { ...rollBack(-20, 2, 1), status: 503, retryAfter: 1 };
    expect(rulesOf([intendMove(-21, 'rollback'), unknown, ...during])).toEqual([]);
    const rolledBack = [intendMove(0, 'rollback'), rollBack(1, 2, 1)];
    expect(rulesOf([...rolledBack, noCache({}, { at: 5, ended: 15 }), older(20)])).toEqual([]);
    expect(rulesOf([...rolledBack, noCache({}, { at: 20, ended: 30 }), older(40)])).toEqual(FOUND);
  });

  it.each<Partial<Fault>>([{ losesHistory: true }, { changesHistory: true }, { movesClock: true }])(
    'around a fault of %o',
    (head) => {
      const [begins, over] = [fault(20, 'begins', head), fault(40, 'over', head)];
      expect(rulesOf([noCache(), begins, older(30)])).toEqual([]);
      const during = noCache({}, { at: 25, ended: 30 });
      expect(rulesOf([begins, during, older(31)])).toEqual([]);
      expect(rulesOf([begins, during, over, older(50)])).toEqual([]);
      expect(rulesOf([begins, over, noCache({}, { at: 50, ended: 60 }), older(70)])).toEqual(FOUND);
    },
  );
});
