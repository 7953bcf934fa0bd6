import { describe, expect, it } from 'vitest';
import { logLoss } from './log-loss.ts';

describe('log-loss', () => {
  it('stays finite for a wrong prediction of 0 or 1', () => {
    expect(logLoss(0, true)).toBeCloseTo(16.118, 3);
    expect(logLoss(1, false)).toBeCloseTo(16.118, 3);
    expect(logLoss(0.25, true)).toBeCloseTo(Math.log(4), 12);
  });
});
