import type { Answer } from '@tandem/freshness/answer';
import { createCpuBudget } from '@tandem/prediction/scoring/cpu-budget';
import { describe, expect, it } from 'vitest';
import { createComparedAnswers, createShadowLine } from './shadow-line.ts';

const answer = (userId: string, more: Partial<Answer> = {}) =>
  ({ userId, source: 'batch', computedAt: 1, predictedFromContextVersion: 0, ...more }) as Answer;

const lineOf = (more: Partial<Parameters<typeof createShadowLine>[0]> = {}) =>
  createShadowLine({ maxPerSecond: 1_000, budget: { isSpent: () => false }, now: () => 0, ...more });

describe('the queue of a shadow', () => {
  it('holds the latest answer of each user', () => {
    const line = lineOf();
    expect([line.add(answer('1')), line.add(answer('2')), line.add(answer('1', { computedAt: 2 }))]).toEqual([
      'waits',
      'waits',
      'coalesced',
    ]);
    expect(line.take(9).map(({ userId, computedAt }) => [userId, computedAt])).toEqual([
      ['1', 2],
      ['2', 1],
    ]);
    expect(line.size).toBe(0);
  });

  it('takes at most maxPerSecond users a second', () => {
    let now = 0;
    const line = lineOf({ maxPerSecond: 3, now: () => now });
    const tell = (from: number) => [0, 1, 2, 3, 4].map((i) => line.add(answer(`${from + i}`)));
    expect(tell(0)).toEqual(['waits', 'waits', 'waits', 'over_rate', 'over_rate']);
    now = 1_000;
    expect(tell(10).filter((outcome) => outcome === 'waits')).toHaveLength(3);
  });

  it('has a limited length, and accepts no user when its CPU budget is spent', () => {
    const line = lineOf({ most: 2 });
    expect([1, 2, 3].map((i) => line.add(answer(`${i}`)))).toEqual(['waits', 'waits', 'over_line']);
    expect(lineOf({ budget: { isSpent: () => true } }).add(answer('1'))).toBe('over_cpu');
  });

  it('skips answers that are not certified as fresh, and answers that were compared before', () => {
    const line = lineOf();
    expect(line.add(answer('1', { source: 'stale' }))).toBe('not_fresh');
    expect(line.add(answer('1', { source: 'default' }))).toBe('not_fresh');
    expect(line.add(answer('1'))).toBe('waits');
    for (const one of line.take(1)) line.done(one);
    expect(line.add(answer('1'))).toBe('repeated');
    expect(line.add(answer('1', { predictedFromContextVersion: 1 }))).toBe('waits');
    expect(line.add(answer('2'))).toBe('waits');
  });
});

it('forgets the oldest compared answers, and never confuses two users', () => {
  const compared = createComparedAnswers(1_000);
  for (let i = 0; i < 3_000; i++) compared.add(answer(`user ${i}`));
  const known = Array.from({ length: 3_000 }, (_, i) => compared.has(answer(`user ${i}`)));
  expect(known.lastIndexOf(false)).toBe(1_999);
  expect(known.indexOf(true)).toBe(2_000);
});

it('a shadow has a share of a processor, and waits after it has exceeded the share', () => {
  let now = 0;
  const budget = createCpuBudget(0.25, () => now);
  expect([budget.isSpent(), budget.msToNext()]).toEqual([false, 0]);
  // It may have saved up a quarter of a second.
  budget.charge(250 + 100);
  expect(budget.isSpent()).toBe(true);
  now += 399;
  expect(budget.isSpent()).toBe(true);
  now += budget.msToNext();
  expect(budget.isSpent()).toBe(false);
  // For a minute, it begins work of 10 ms whenever it may.
  const end = now + 60_000;
  let taken = 0;
  for (; now < end; now += Math.max(1, budget.msToNext())) {
    budget.charge(10);
    taken += 10;
  }
  expect(taken / 60_000).toBeGreaterThan(0.24);
  expect(taken / 60_000).toBeLessThan(0.26);
});
