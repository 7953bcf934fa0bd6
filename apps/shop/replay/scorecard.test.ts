import { logLoss } from '@tandem/experiment/estimates/log-loss';
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
    const readings = Array.from({ length: 30 }, (_, i) => ({ ...reading, customerId: `${i}`, bought: i % 2 === 0 }));
    const result = summarize(readings, 'daily', 1);
    expect(result).toMatchObject({ reads: 30, change: { value: 0, low: 0, high: 0 }, changeWhereLive: null });
    expect(result.logLoss).toBeCloseTo(Math.log(2), 12);
    expect(result.shares).toEqual({ batch: 1, live: 0, stale: 0, default: 0 });
  });

  it('measures how much better live answers were, with intervals over customers', () => {
    const live = Array.from({ length: 30 }, (_, i): Reading => {
      return { ...reading, customerId: `l${i}`, source: 'live', score: 0.6 + i / 100, batchScore: 0.1, bought: true };
    });
    const readings = [...Array.from({ length: 60 }, (_, i) => ({ ...reading, customerId: `b${i}` })), ...live];
    const { change, changeWhereLive } = summarize(readings, 'daily', 1);
    const gain = live.reduce((sum, { score }) => sum + logLoss(score, true) - logLoss(0.1, true), 0);
    expect(change.value).toBeCloseTo(gain / 90, 12);
    expect(changeWhereLive?.value).toBeCloseTo(gain / 30, 12);
    for (const { value, low, high } of [change, changeWhereLive ?? change]) {
      expect(low).toBeLessThan(value);
      expect(high).toBeGreaterThan(value);
      expect(high).toBeLessThan(0);
    }
    // Customers answered from the batch, without a change, make the mean of all vary more than that of live answers.
    expect(change.high - change.low).toBeGreaterThan((changeWhereLive?.high ?? 0) - (changeWhereLive?.low ?? 0));
  });

  it('gives no interval with few customers', () => {
    const result = summarize([reading, { ...reading, customerId: '2', score: 0.4 }], 'daily', 1);
    expect(result.change).toMatchObject({ low: Number.NaN, high: Number.NaN });
  });

  it('is the same for the same seed', () => {
    const readings = Array.from({ length: 30 }, (_, i) => ({ ...reading, customerId: `${i}`, score: (i + 1) / 40 }));
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
