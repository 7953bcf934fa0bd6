import { describe, expect, it } from 'vitest';
import { classEnds, classOf, psi } from './tally.ts';

const countsOf = (ends: Float64Array, values: readonly number[]) => {
  const counts = new Float64Array(ends.length + 1);
  for (const value of values) counts.set([(counts.at(classOf(ends, value)) ?? 0) + 1], classOf(ends, value));
  return counts;
};

describe('classes', () => {
  const values = Array.from({ length: 200 }, (_, i) => i);

  it('each hold a twentieth of the currently served users', () => {
    const ends = classEnds(Float64Array.from(values));
    expect([...countsOf(ends, values)]).toEqual(Array.from({ length: 20 }, () => 10));
  });

  it('are fewer if users have equal values, with one class below and one above', () => {
    const ends = classEnds(Float64Array.from([0, 0, 0, 1]));
    expect([...countsOf(ends, [-1, 0, 0, 0.5, 1, 2])]).toEqual([1, 2, 2, 1]);
  });

  it('detect a shift away from a single value in both directions', () => {
    const ends = classEnds(Float64Array.from([5, 5, 5]));
    const before = countsOf(
      ends,
      Array.from({ length: 100 }, () => 5),
    );
    for (const now of [4, 6])
      expect(
        psi(
          before,
          countsOf(
            ends,
            Array.from({ length: 100 }, () => now),
          ),
        ),
      ).toBeGreaterThan(5);
  });

  it('are one class if there are no users', () => {
    expect(classEnds(new Float64Array())).toHaveLength(0);
    expect(classOf(new Float64Array(), 3)).toBe(0);
  });
});

describe('PSI', () => {
  it('is 0 for equal shares, whatever the counts', () => {
    expect(psi(Float64Array.from([10, 20]), Float64Array.from([10, 20]))).toBe(0);
    expect(psi(Float64Array.from([1_000, 2_000]), Float64Array.from([100, 200]))).toBeLessThan(1e-5);
  });

  it('follows the definition', () => {
    // (0.4 - 0.5) ln(0.4 / 0.5) + (0.6 - 0.5) ln(0.6 / 0.5), by hand. The added half user is negligible in a million.
    expect(psi(Float64Array.from([5e5, 5e5]), Float64Array.from([4e5, 6e5]))).toBeCloseTo(0.0405465, 5);
  });

  it('is finite if a class is empty, and zero without users', () => {
    expect(psi(Float64Array.from([10, 0]), Float64Array.from([0, 10]))).toBeGreaterThan(4);
    expect(psi(Float64Array.from([0, 0]), Float64Array.from([1, 2]))).toBe(0);
  });
});
