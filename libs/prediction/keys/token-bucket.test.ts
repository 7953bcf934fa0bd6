import fc from 'fast-check';
import { expect, test } from 'vitest';
import { TokenBucket } from './token-bucket.ts';

test('a bucket gives the tokens of one second at once, then tokens at the rate', () => {
  let now = 1_000;
  const bucket = new TokenBucket(10, () => now);
  expect(bucket.take(4)).toBe(4);
  expect(bucket.take(100)).toBe(6);
  expect(bucket.take(1)).toBe(0);
  expect(bucket.secondsToNext()).toBeCloseTo(0.1);
  now += 100;
  expect(bucket.take(5)).toBe(1);
  now += 3_600_000;
  expect(bucket.take(100)).toBe(10);
});

test('a bucket accepts returned tokens, up to the tokens of one second', () => {
  const bucket = new TokenBucket(10, () => 0);
  expect(bucket.take(500)).toBe(10);
  bucket.giveBack(10);
  expect(bucket.take(4)).toBe(4);
  bucket.giveBack(99);
  expect(bucket.take(99)).toBe(10);
});

test('a rate below one a second still allows one request', () => {
  let now = 0;
  const bucket = new TokenBucket(0.5, () => now);
  expect(bucket.take(1)).toBe(1);
  now += 1_999;
  expect(bucket.take(1)).toBe(0);
  now += 1;
  expect(bucket.take(1)).toBe(1);
});

test('a bucket never gives more than the rate plus the tokens of one second', () => {
  const asked = fc.array(fc.tuple(fc.integer({ min: 0, max: 5_000 }), fc.integer({ min: 0, max: 50 })));
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 40 }), asked, (rate, steps) => {
      let now = 0;
      let given = 0;
      const bucket = new TokenBucket(rate, () => now);
      for (const [pause, wanted] of steps) {
        now += pause;
        given += bucket.take(wanted);
      }
      expect(given).toBeLessThanOrEqual(rate + (now / 1000) * rate + 1e-6);
    }),
  );
});
