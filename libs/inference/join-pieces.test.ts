import { describe, expect, it } from 'vitest';
import { joinPieces } from './join-pieces.ts';

const tensor = (dims: number[], data: Float32Array | string[]) => ({
  name: 'x',
  type: Array.isArray(data) ? ('string' as const) : ('float32' as const),
  dims,
  data,
});

describe('joinPieces', () => {
  it('makes one answer of those of single rows, scalars among them', () => {
    for (const dims of [[1, 1], [1], []]) {
      const pieces = joinPieces(2);
      pieces.add([tensor(dims, Float32Array.of(0.25))], 1);
      pieces.add([tensor(dims, Float32Array.of(0.75))], 1);
      expect(pieces.outputs()[0]?.data).toEqual(Float32Array.of(0.25, 0.75));
      expect(pieces.outputs()[0]?.dims[0]).toBe(2);
    }
  });

  it('keeps the rows of pieces in their order, vectors and texts too, the last piece shorter', () => {
    const pieces = joinPieces(3);
    pieces.add([tensor([2, 2], Float32Array.of(1, 2, 3, 4)), tensor([2], ['a', 'b'])], 2);
    pieces.add([tensor([1, 2], Float32Array.of(5, 6)), tensor([1], ['c'])], 1);
    expect(pieces.outputs()).toMatchObject([
      { dims: [3, 2], data: Float32Array.of(1, 2, 3, 4, 5, 6) },
      { dims: [3], data: ['a', 'b', 'c'] },
    ]);
  });

  it('refuses a piece of another number of rows, or of another width than the first', () => {
    expect(() => joinPieces(2).add([tensor([2, 1], new Float32Array(2))], 1)).toThrow(
      'gave 2 rows of output x for 1 user',
    );
    expect(() => joinPieces(9).add([tensor([2, 1], new Float32Array(2))], 3)).toThrow(
      'gave 2 rows of output x for 3 users',
    );
    expect(() => joinPieces(9).add([tensor([], new Float32Array(1))], 3)).toThrow('gave one value, of no row');
    const pieces = joinPieces(2);
    pieces.add([tensor([1, 1], new Float32Array(1))], 1);
    expect(() => pieces.add([tensor([1, 2], new Float32Array(2))], 1)).toThrow('different widths');
  });
});
