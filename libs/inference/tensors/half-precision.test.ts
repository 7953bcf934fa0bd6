import fc from 'fast-check';
import { expect, test } from 'vitest';
import { fromHalfBits, toHalfBits } from './half-precision.ts';

const ALL = Array.from({ length: 0x1_0000 }, (_, bits) => bits);
const isNaNBits = (bits: number) => (bits & 0x7c00) === 0x7c00 && (bits & 0x3ff) !== 0;

test('every float16 is converted back to the same bits, and a NaN to a NaN', () => {
  const wrong = ALL.filter((bits) => {
    const back = toHalfBits(fromHalfBits(bits));
    return isNaNBits(bits) ? !isNaNBits(back) : back !== bits;
  });
  expect(wrong).toEqual([]);
});

test.each([
  [0, 0x0000],
  [-0, 0x8000],
  [1, 0x3c00],
  [-2, 0xc000],
  [0.5, 0x3800],
  [1 / 3, 0x3555],
  [65_504, 0x7bff],
  [2 ** -14, 0x0400],
  [2 ** -24, 0x0001],
  [Number.POSITIVE_INFINITY, 0x7c00],
])('%d is %i', (value, bits) => {
  expect(toHalfBits(value)).toBe(bits);
  if (value !== 1 / 3) expect(fromHalfBits(bits)).toBe(value);
});

test('the middle between two neighbours is rounded to the even one, and a double beside the middle to its own side', () => {
  fc.assert(
    fc.property(fc.integer({ min: 0, max: 0x7bfe }), (bits) => {
      const [low, high] = [fromHalfBits(bits), fromHalfBits(bits + 1)];
      const middle = (low + high) / 2;
      // A conversion by way of float32 would round these to the middle first.
      const beside = middle * 2 ** -40;
      expect(toHalfBits(middle)).toBe(bits % 2 === 0 ? bits : bits + 1);
      expect(toHalfBits(middle - beside)).toBe(bits);
      expect(toHalfBits(middle + beside)).toBe(bits + 1);
    }),
  );
});
