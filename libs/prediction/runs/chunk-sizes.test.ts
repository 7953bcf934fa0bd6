import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { chooseBoundaries, sizeChunks } from './chunk-sizes.ts';

describe('the size of chunks', () => {
  it('is the predictor’s maximum without an earlier run, or after only a short one', () => {
    const usual = { size: 10_000, lastSize: 10_000, chunkMs: 5_000 };
    expect(sizeChunks(null, 10_000)).toEqual(usual);
    expect(sizeChunks({ usersPerSecond: 100, seconds: 9, users: 1_000_000 }, 10_000)).toEqual(usual);
  });

  it('is a fiftieth of the duration of the previous run', () => {
    expect(sizeChunks({ usersPerSecond: 500, seconds: 120, users: 1_000_000 }, 10_000)).toMatchObject({
      size: 1_200,
      chunkMs: 2_400,
    });
  });

  it('is at most five seconds and at least half a second', () => {
    expect(sizeChunks({ usersPerSecond: 500, seconds: 7_200, users: 1_000_000 }, 10_000)).toMatchObject({
      size: 2_500,
      chunkMs: 5_000,
    });
    expect(sizeChunks({ usersPerSecond: 5_000, seconds: 12, users: 1_000_000 }, 10_000)).toMatchObject({
      size: 2_500,
      chunkMs: 500,
    });
  });

  it('is not smaller at the end if every chunk is a small part of the run', () => {
    expect(sizeChunks({ usersPerSecond: 30_000, seconds: 120, users: 1_000_000 }, 10_000)).toMatchObject({
      size: 10_000,
      lastSize: 10_000,
    });
    expect(sizeChunks({ usersPerSecond: 30_000, seconds: 12, users: 1_000_000 }, 10_000)).toMatchObject({
      size: 10_000,
      lastSize: 3_000,
    });
  });

  it('makes at most 20,000 chunks, however slow the previous run was', () => {
    const slow = { usersPerSecond: 0.01, seconds: 1e9, users: 10_000_000 };
    expect(sizeChunks(slow, 10_000)).toMatchObject({ size: 500, lastSize: 500 });
  });

  it('never exceeds the predictor’s maximum, whatever was measured', () => {
    const measured = fc.record({
      usersPerSecond: fc.double({ min: 0, noNaN: true }),
      seconds: fc.double({ min: 0, noNaN: true }),
      users: fc.nat(),
    });
    fc.assert(
      fc.property(measured, fc.integer({ min: 1, max: 50_000 }), (run, most) => {
        const { size, lastSize, chunkMs } = sizeChunks(run, most);
        expect(size).toBeLessThanOrEqual(most);
        expect(lastSize).toBeLessThanOrEqual(size);
        expect(lastSize).toBeGreaterThanOrEqual(1);
        expect(chunkMs).toBeLessThanOrEqual(5_000);
      }),
    );
  });
});

describe('the boundaries of chunks', () => {
  it('make large chunks, and small chunks in the last fifth', () => {
    const sizes = { size: 100, lastSize: 25 };
    const keys = Array.from({ length: 39 }, (_, i) => String((i + 1) * 25));
    const large = ['100', '200', '300', '400', '500', '600', '700', '800'];
    const small = ['825', '850', '875', '900', '925', '950', '975'];
    expect(chooseBoundaries(keys, 1_000, sizes)).toEqual([...large, ...small]);
  });

  it('are all given keys if chunks have one size', () => {
    expect(chooseBoundaries(['10', '20'], 25, { size: 10, lastSize: 10 })).toEqual(['10', '20']);
  });
});
