import { describe, expect, it } from 'vitest';
import { createRowFeeder, joinRows } from './row-by-row.ts';

const tensor = (dims: number[], data: Float32Array | string[]) => ({
  name: 'x',
  type: Array.isArray(data) ? ('string' as const) : ('float32' as const),
  dims,
  data,
});

describe('createRowFeeder', () => {
  it('returns each row alone, at the same place in memory, including texts', () => {
    const rowOf = createRowFeeder([tensor([2, 3], Float32Array.of(1, 2, 3, 4, 5, 6)), tensor([2], ['a', 'b'])]);
    const [first] = rowOf(0);
    expect(Array.from(first?.data as Float32Array)).toEqual([1, 2, 3]);
    const [second, text] = rowOf(1);
    expect(second).toMatchObject({ dims: [1, 3], data: Float32Array.of(4, 5, 6) });
    expect(second?.data).toBe(first?.data);
    expect(text).toMatchObject({ dims: [1], data: ['b'] });
  });
});

describe('joinRows', () => {
  it('joins the answers of single rows, including scalars', () => {
    for (const dims of [[1, 1], [1], []]) {
      const rows = joinRows(2);
      rows.add([tensor(dims, Float32Array.of(0.25))]);
      rows.add([tensor(dims, Float32Array.of(0.75))]);
      expect(rows.outputs()[0]?.data).toEqual(Float32Array.of(0.25, 0.75));
      expect(rows.outputs()[0]?.dims[0]).toBe(2);
    }
  });

  it('rejects an answer with several rows, or with another width than the first', () => {
    expect(() => joinRows(2).add([tensor([2, 1], new Float32Array(2))])).toThrow('gave 2 rows of output x for 1 user');
    const rows = joinRows(2);
    rows.add([tensor([1, 1], new Float32Array(1))]);
    expect(() => rows.add([tensor([1, 2], new Float32Array(2))])).toThrow('different widths');
  });
});
