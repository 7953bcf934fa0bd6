import { describe, expect, it } from 'vitest';
import { createPieceSizes } from './piece-size.ts';

/** The sizes that so many runs of `rows` get from a model that takes `msPerRow(size)`. */
function sizesOf(runs: number, rows: number, msPerRow: (size: number, run: number) => number): number[] {
  const pieces = createPieceSizes();
  return Array.from({ length: runs }, (_, run) => {
    const size = pieces.next(rows);
    pieces.observe(size, rows, rows * msPerRow(size, run));
    return size;
  });
}

/** How large a share of the runs after the first twenty had a size. */
function shareOf(sizes: readonly number[], size: number): number {
  const later = sizes.slice(20);
  return later.filter((one) => one === size).length / later.length;
}

describe('piece sizes', () => {
  it('settle on small pieces where the model takes less a row in them', () => {
    expect(
      shareOf(
        sizesOf(500, 1_024, (size) => (size < 128 ? 2 : 5)),
        64,
      ),
    ).toBeGreaterThan(0.98);
  });

  it('settle on the whole run where that takes the least', () => {
    expect(
      shareOf(
        sizesOf(500, 1_024, (size) => 1 + 10 / size),
        1_024,
      ),
    ).toBeGreaterThan(0.98);
  });

  it('do not believe the first run of a size, which warms up', () => {
    const warming = sizesOf(200, 1_024, (size, run) => (run === 0 ? 100 : size === 1_024 ? 1 : 2));
    expect(shareOf(warming, 1_024)).toBeGreaterThan(0.98);
  });

  it('follow a model whose costs turn round', () => {
    const sizes = sizesOf(3_000, 1_024, (size, run) => ((size === 64) === run < 100 ? 1 : 4));
    expect(sizes.slice(50, 90)).not.toContain(1_024);
    expect(sizes.slice(2_500).filter((size) => size === 64).length).toBeLessThan(10);
  });

  it('leave a small run whole, and learn nothing of it', () => {
    const pieces = createPieceSizes();
    expect([1, 10, 64].map((rows) => pieces.next(rows))).toEqual([1, 10, 64]);
    for (let run = 0; run < 10; run++) pieces.observe(64, 64, 0);
    expect(pieces.next(1_024)).toBe(1_024);
  });

  it('never give more rows than there are', () => {
    for (const rows of [65, 100, 256, 257, 1_024]) {
      for (const size of sizesOf(30, rows, () => 1)) expect(size).toBeLessThanOrEqual(rows);
    }
  });
});
