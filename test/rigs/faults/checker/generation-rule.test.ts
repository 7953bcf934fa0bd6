import { describe, expect, it } from 'vitest';
import type { Fault } from '../history.ts';
import { fault, listGenerations, read, rollBack, rulesOf } from './written-history.fixture.ts';

it('accepts a withdrawn generation once another rollback returned to it, also before that is acknowledged', () => {
  const history = [
    read(0, { generation: '2' }),
    rollBack(20, 2, 1),
    read(31, { generation: '1' }),
    read(50, { generation: '3' }),
    // The second rollback takes effect at some moment of its call.
    read(75, { generation: '2' }),
    { ...rollBack(70, 3, 2), ended: 100 },
    read(101, { generation: '2' }),
  ];
  expect(rulesOf(history)).toEqual([]);
  expect(rulesOf([...history, read(120, { generation: '3' })])).toEqual(['withdrawn generation']);
});

it('rejects an unverified answer from a generation whose rollback was acknowledged before, and accepts an outdated one', () => {
  const unverified = { source: 'stale', reason: 'unverified', contextVersion: null } as const;
  const published = [read(0, { generation: '1' }), read(20, { generation: '2' })];
  expect(rulesOf([...published, read(40, { ...unverified, generation: '1' })])).toEqual([]);
  const rolledBack = [...published, rollBack(40, 2, 1), read(60, { ...unverified, generation: '2' })];
  expect(rulesOf(rolledBack)).toEqual(['withdrawn generation']);
});

it('does not judge later reads by a read that overlapped the rollback', () => {
  const slow = { ...read(15, { generation: '2' }), ended: 40 };
  expect(rulesOf([read(0, { generation: '2' }), rollBack(20, 2, 1), slow, read(41, { generation: '1' })])).toEqual([]);
});

it('does not judge reads after a rollback with an unknown result', () => {
  const unknown = { ...rollBack(20, 2, 1), status: 503, retryAfter: 1, from: null, to: null };
  expect(rulesOf([read(0, { generation: '2' }), unknown, read(31, { generation: '1' })])).toEqual([]);
  const refused = { ...unknown, status: 404 };
  expect(rulesOf([read(0, { generation: '2' }), refused, read(31, { generation: '1' })])).toEqual([
    'withdrawn generation',
  ]);
});

it('does not compare generations of different histories', () => {
  const lost = [fault(20, 'begins', { losesHistory: true }), fault(30, 'over', { losesHistory: true })];
  expect(rulesOf([read(0, { generation: '9' }), ...lost, read(41, { generation: '3' })])).toEqual([]);
  const [begins, over] = lost as [Fault, Fault];
  const answeredYet = read(12, { generation: '9' });
  const history = [read(0, { generation: '9' }), begins, answeredYet, over, read(31, { generation: '3' })];
  expect(rulesOf(history)).toEqual([]);
  expect(rulesOf([...history, read(50, { generation: '2' })])).toEqual(['withdrawn generation']);
});

describe('layers', () => {
  const answered = (...generations: number[]) =>
    generations.map((generation, i) => read(20 * (i + 1), { generation: String(generation) }));

  it('accepts answers of the base, whether the list of bases comes before or after', () => {
    expect(rulesOf([listGenerations(0, { 5: 3 }), ...answered(3, 5, 3, 5)])).toEqual([]);
    expect(rulesOf([...answered(3, 5, 3), listGenerations(90, { 5: 3 })])).toEqual([]);
    // Generation 6 is current, and no read was answered from it yet.
    expect(rulesOf([...answered(3, 5, 4), listGenerations(90, { 6: 4 })])).toEqual([]);
  });

  it('rejects a generation that is not the current base, and a layered generation once a later one was seen', () => {
    const bases = listGenerations(0, { 5: 3, 6: 3 });
    expect(rulesOf([bases, ...answered(6, 4)])).toEqual(['withdrawn generation']);
    expect(rulesOf([bases, ...answered(6, 5)])).toEqual(['withdrawn generation']);
    // Generation 7 has all users, and no base.
    expect(rulesOf([bases, ...answered(7, 3)])).toEqual(['withdrawn generation']);
  });

  it('waits for a list that was requested after the read, however late it comes', () => {
    const early = listGenerations(0, {});
    const late = read(60_000, { generation: '5' });
    expect(rulesOf([early, ...answered(5, 3), late, listGenerations(60_020, { 5: 3 })])).toEqual([]);
    const told = [early, ...answered(5, 3), listGenerations(100, {}), late];
    expect(rulesOf([...told, listGenerations(60_020, { 5: 3 })])).toEqual(['withdrawn generation']);
  });

  it('withdraws a base with the generation that a rollback leaves, until a rollback returns to a generation above it', () => {
    const bases = listGenerations(0, { 5: 4, 6: 4 });
    const leave = { ...rollBack(60, 5, 3), fromBase: '4' };
    expect(rulesOf([bases, ...answered(5), leave, read(90, { generation: '4' })])).toEqual(['withdrawn generation']);
    expect(rulesOf([bases, ...answered(5), rollBack(60, 5, 4), read(90, { generation: '4' })])).toEqual([]);
    const stays = { ...rollBack(60, 6, 5), fromBase: '4', toBase: '4' };
    expect(rulesOf([bases, ...answered(6), stays, read(90, { generation: '4' })])).toEqual([]);
    const back = { ...rollBack(100, 7, 5), toBase: '4' };
    expect(rulesOf([bases, ...answered(5), leave, back, read(120, { generation: '4' })])).toEqual([]);
  });

  it('forgets the bases of a lost history', () => {
    const lost = [fault(50, 'begins', { losesHistory: true }), fault(55, 'over', { losesHistory: true })];
    const again = [read(60, { generation: '5' }), read(80, { generation: '3' })];
    expect(rulesOf([listGenerations(0, { 5: 3 }), ...lost, ...again])).toEqual(['withdrawn generation']);
    expect(rulesOf([listGenerations(0, {}), ...lost, ...again, listGenerations(100, { 5: 3 })])).toEqual([]);
  });
});
