import { describe, expect, it } from 'vitest';
import type { WireTensor } from '../process/protocol.ts';
import { cutOutputs, joinOutputs, readOutputs } from './batch-tensors.ts';

const tensor = (dims: number[], data: Float32Array) => [{ name: 'score', type: 'float32' as const, dims, data }];

describe('readOutputs', () => {
  it.each([
    [[2], 1],
    [[2, 1], 1],
    [[2, 3], 3],
    [[2, 1, 1], 1],
  ])('reads the shape %j as two users with %d values each', (dims, width) => {
    const data = Float32Array.from({ length: 2 * width }, (_, i) => i);
    expect(readOutputs(tensor(dims, data), 2).score).toEqual({ data, width });
  });

  it('decodes float16 to numbers', () => {
    const bits = Uint16Array.of(0x3c00, 0xc000, 0x7e00);
    const read = readOutputs([{ name: 'score', type: 'float16', dims: [3], data: bits }], 3);
    expect(read.score?.data).toEqual(Float32Array.of(1, -2, Number.NaN));
  });

  it('rejects another number of rows than users, and never shifts answers', () => {
    expect(() => readOutputs(tensor([3, 1], new Float32Array(3)), 2)).toThrow(
      'the model gave 3 rows of output score for 2 users',
    );
    expect(() => readOutputs(tensor([], new Float32Array(1)), 1)).toThrow(
      'one value without rows in output score for 1 user',
    );
  });
});

it('cutOutputs and joinOutputs keep the values and the shape of each row', () => {
  const whole: WireTensor[] = [
    { name: 'a', type: 'float32', dims: [3, 1, 2], data: Float32Array.of(1, 2, 3, 4, 5, 6) },
    { name: 'b', type: 'string', dims: [3], data: ['x', 'y', 'z'] },
  ];
  const parts = [cutOutputs(whole, 0, 1), cutOutputs(whole, 1, 2)];
  expect(parts[1]).toEqual([
    { name: 'a', type: 'float32', dims: [2, 1, 2], data: Float32Array.of(3, 4, 5, 6) },
    { name: 'b', type: 'string', dims: [2], data: ['y', 'z'] },
  ]);
  expect(joinOutputs(parts)).toEqual(whole);
});
