import { describe, expect, it } from 'vitest';
import { createComparison, FLOAT_TOLERANCE } from './parity.ts';

const field = (type: 'float32' | 'int64') => [{ name: 'score', output: 'score', type, width: null, index: 0 }];
const compare = (alone: number[], a: number, b: number, tolerance = FLOAT_TOLERANCE) =>
  createComparison(
    field('float32'),
    alone.map((value) => [value]),
    tolerance,
  ).differenceOf('7', [a], [b]);

describe('createComparison', () => {
  it('allows 1e-5, or a relative 1e-5 for answers above 1', () => {
    expect(compare([0, 1], 0.5, 0.500_009)?.ofAllowed).toBeLessThan(1);
    expect(compare([0, 1], 0.5, 0.500_011)?.ofAllowed).toBeGreaterThan(1);
    expect(compare([0, 1], 70_000, 70_000.6)?.ofAllowed).toBeLessThan(1);
  });

  it('is stricter if all answers are close together', () => {
    expect(compare([1e-6, 2e-6], 1e-6, 2e-6)?.ofAllowed).toBeGreaterThan(1);
  });

  it('finds no difference between equal answers; without tolerance, any difference is too large', () => {
    expect(compare([1, 2], 1, 1)).toBeNull();
    expect(compare([1, 2], 0, -0, 0)).toBeNull();
    expect(compare([1, 2], 1, 1 + 2 ** -23, 0)?.ofAllowed).toBeGreaterThan(1);
  });

  it('compares integers exactly', () => {
    const found = createComparison(field('int64'), [[5n], [6n]], FLOAT_TOLERANCE).differenceOf('7', [5n], [6n]);
    expect(found).toMatchObject({ output: 'score', userId: '7', ofAllowed: Number.POSITIVE_INFINITY });
  });
});
