import { logLoss } from '@tandem/experiment/value/quality';
import { describe, expect, it } from 'vitest';
import { quantile, type Reading, summarize } from './scorecard.ts';

const reading: Reading = {
  day: '1998-01-02',
  customerId: '1',
  occasion: 'daily',
  source: 'batch',
  score: 0.5,
  batchScore: 0.5,
  bought: false,
};

describe('summarize', () => {
  it('finds no change if every answer is that of the batch', () => {
    const result = summarize([reading, { ...reading, customerId: '2', bought: true }], 'daily', 1);
    expect(result).toMatchObject({ reads: 2, change: { value: 0, low: 0, high: 0 }, changeWhereLive: null });
    expect(result.logLoss).toBeCloseTo(Math.log(2), 12);
    expect(result.shares).toEqual({ batch: 1, live: 0, stale: 0, default: 0 });
  });

  it('measures how much better live answers were, and resamples whole customers for the interval', () => {
    const live: Reading = { ...reading, source: 'live', score: 0.8, batchScore: 0.1, bought: true };
    const readings = [...Array.from({ length: 50 }, (_, i) => ({ ...reading, customerId: `b${i}` })), live];
    const result = summarize(readings, 'daily', 1);
    const gain = logLoss(0.8, true) - logLoss(0.1, true);
    expect(result.change.value).toBeCloseTo(gain / 51, 12);
    expect(result.change.low).toBeLessThan(result.change.value);
    // About a third of the resamples miss the one customer who was answered live.
    expect(result.change.high).toBeCloseTo(0, 12);
    expect(result.changeWhereLive).toMatchObject({ value: gain, low: gain, high: gain });
  });

  it('is the same for the same seed', () => {
    const readings = Array.from({ length: 20 }, (_, i) => ({ ...reading, customerId: `${i}`, score: i / 20 }));
    expect(summarize(readings, 'daily', 7)).toEqual(summarize(readings, 'daily', 7));
    expect(summarize(readings, 'daily', 7).change).not.toEqual(summarize(readings, 'daily', 8).change);
  });
});

describe('quantile', () => {
  it('returns the value at a share of the sorted values', () => {
    expect(quantile([4, 1, 3, 2], 0.5)).toBe(3);
    expect(quantile([4, 1, 3, 2], 0.99)).toBe(4);
    expect(quantile([], 0.5)).toBeNaN();
  });
});
