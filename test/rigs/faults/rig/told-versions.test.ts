import { expect, it } from 'vitest';
import { toldBy, VERSIONS } from './told-versions.ts';

it('reads the count and the model version from a score, as a float32 is written on the wire', () => {
  expect(toldBy(16.007813)).toEqual({ count: 16, version: 2 });
  for (let version = 1; version <= VERSIONS; version++) {
    const written = Number(Math.fround(131_071 + (version - 1) / 128).toPrecision(9));
    expect(toldBy(written)).toEqual({ count: 131_071, version });
  }
});

it('returns a fraction for a score that belongs to no version, such as the mean of two scores', () => {
  expect(Number.isInteger(toldBy(3 + 1 / 256).version)).toBe(false);
});
