import { expect, it } from 'vitest';
import type { Fault } from '../history.ts';
import { fault, read, rollBack, rulesOf } from './written-history.fixture.ts';

it('accepts what a rollback left again once another returned to it, also before that one is told', () => {
  const history = [
    read(0, { generation: '2' }),
    rollBack(20, 2, 1),
    read(31, { generation: '1' }),
    read(50, { generation: '3' }),
    // The second works at some moment of its call.
    read(75, { generation: '2' }),
    { ...rollBack(70, 3, 2), ended: 100 },
    read(101, { generation: '2' }),
  ];
  expect(rulesOf(history)).toEqual([]);
  expect(rulesOf([...history, read(120, { generation: '3' })])).toEqual(['withdrawn generation']);
});

it('judges nothing by a read that was under way during the rollback', () => {
  const slow = { ...read(15, { generation: '2' }), ended: 40 };
  expect(rulesOf([read(0, { generation: '2' }), rollBack(20, 2, 1), slow, read(41, { generation: '1' })])).toEqual([]);
});

it('knows nothing after a rollback of which nobody knows what became', () => {
  const unknown = { ...rollBack(20, 2, 1), status: 503, retryAfter: 1, from: null, to: null };
  expect(rulesOf([read(0, { generation: '2' }), unknown, read(31, { generation: '1' })])).toEqual([]);
  const refused = { ...unknown, status: 404 };
  expect(rulesOf([read(0, { generation: '2' }), refused, read(31, { generation: '1' })])).toEqual([
    'withdrawn generation',
  ]);
});

it('does not compare generations of different pasts', () => {
  const lost = [fault(20, 'begins', { losesHistory: true }), fault(30, 'over', { losesHistory: true })];
  expect(rulesOf([read(0, { generation: '9' }), ...lost, read(41, { generation: '3' })])).toEqual([]);
  const [begins, over] = lost as [Fault, Fault];
  const answeredYet = read(12, { generation: '9' });
  const history = [read(0, { generation: '9' }), begins, answeredYet, over, read(31, { generation: '3' })];
  expect(rulesOf(history)).toEqual([]);
  expect(rulesOf([...history, read(50, { generation: '2' })])).toEqual(['withdrawn generation']);
});
