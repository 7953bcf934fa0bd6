import { describe, expect, it } from 'vitest';
import { DeltaSketch } from './tally.ts';

describe('quantiles of sizes', () => {
  it.each([
    ['of a uniform', (i: number) => i / 10_000],
    ['over many powers of ten', (i: number) => 10 ** (i / 1_250 - 6)],
  ])('are exact within 3 %% %s', (_, sizeOf) => {
    const sketch = new DeltaSketch();
    for (let i = 0; i < 10_000; i++) sketch.add(sizeOf((i * 7_919) % 10_000));
    for (const share of [0.5, 0.9, 0.99]) {
      const exact = sizeOf(share * 10_000 - 1);
      expect(Math.abs(sketch.quantile(share) / exact - 1)).toBeLessThan(0.032);
    }
    expect(sketch.largest).toBe(sizeOf(9_999));
  });

  it('include sizes of zero', () => {
    const sketch = new DeltaSketch();
    for (const size of [0, 0, 0, 0.2]) sketch.add(size);
    expect([sketch.quantile(0.5), sketch.quantile(0.75), sketch.quantile(0.76), sketch.changed]).toEqual([
      0, 0, 0.2, 1,
    ]);
  });

  it('are 0 without sizes; sizes beyond all classes count in the last class', () => {
    expect(new DeltaSketch().quantile(0.5)).toBe(0);
    const sketch = new DeltaSketch();
    for (const size of [1e-300, 1e300]) sketch.add(size);
    expect([sketch.quantile(0.5), sketch.quantile(1)]).toEqual([1e-300, 1e300]);
  });
});
