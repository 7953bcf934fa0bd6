import { describe, expect, it } from 'vitest';
import { createRowFeeder } from './row-by-row.ts';

const tensor = (dims: number[], data: Float32Array | string[]) => ({
  name: 'x',
  type: Array.isArray(data) ? ('string' as const) : ('float32' as const),
  dims,
  data,
});

describe('createRowFeeder', () => {
  it('gives each row by itself, from one place in memory, and texts too', () => {
    const rowOf = createRowFeeder([tensor([2, 3], Float32Array.of(1, 2, 3, 4, 5, 6)), tensor([2], ['a', 'b'])]);
    const [first] = rowOf(0);
    expect(Array.from(first?.data as Float32Array)).toEqual([1, 2, 3]);
    const [second, text] = rowOf(1);
    expect(second).toMatchObject({ dims: [1, 3], data: Float32Array.of(4, 5, 6) });
    expect(second?.data).toBe(first?.data);
    expect(text).toMatchObject({ dims: [1], data: ['b'] });
  });
});
