import { drawMultinomial, randomFrom } from '@tandem/experiment/distributions/draws.fixture';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { stabilityIndex } from './shift-check.ts';

const stable = { counts: [120, 300, 400, 150, 30], users: 1_000 };
const candidate = { counts: [20, 80, 130, 90, 40], users: 360 };

describe('the population stability index', () => {
  it('is the sum of (p − q) ln(p / q) of smoothed shares, minus the expected difference of samples', () => {
    // 0.23178… is from NumPy, with the same counts and half a count more in each class. 4 (1/1,000 + 1/360) is
    // subtracted.
    expect(stabilityIndex(stable, candidate)?.estimate).toBeCloseTo(0.21667151700260337, 12);
  });

  it('is the same for counts of users and for counts of their reads', () => {
    const reads = { counts: stable.counts.map((count) => 7 * count), users: 1_000 };
    expect(stabilityIndex(reads, candidate)?.estimate).toBeCloseTo(0.21667151700260337, 10);
    expect(stabilityIndex(reads, candidate)?.variance).toBeCloseTo(
      stabilityIndex(stable, candidate)?.variance ?? 0,
      10,
    );
  });

  it('is finite with empty classes, and null without counts', () => {
    const counts = fc.array(fc.nat(50), { minLength: 20, maxLength: 20 });
    const users = (of: readonly number[]) => of.reduce((sum, count) => sum + count, 0);
    fc.assert(
      fc.property(counts, counts, (one, other) => {
        const index = stabilityIndex({ counts: one, users: users(one) }, { counts: other, users: users(other) });
        if (users(one) === 0 || users(other) === 0) expect(index).toBeNull();
        else {
          expect(Number.isFinite(index?.estimate)).toBe(true);
          expect(index?.variance).toBeGreaterThanOrEqual(0);
        }
      }),
    );
    expect(stabilityIndex({ counts: [0, 0], users: 0 }, { counts: [3, 1], users: 4 })).toBeNull();
  });

  it('is 0 with a wide interval, if all users are in one class', () => {
    const index = stabilityIndex({ counts: [0, 50], users: 50 }, { counts: [0, 20], users: 20 });
    expect(index?.estimate).toBe(0);
    expect(index?.variance).toBeGreaterThan(0);
  });

  it('has the stated mean and variance, with a shift and without', () => {
    const random = randomFrom(3);
    const q = [0.1, 0.2, 0.4, 0.2, 0.1];
    for (const p of [q, [0.05, 0.15, 0.4, 0.25, 0.15]]) {
      const truth = p.reduce((sum, share, i) => sum + (share - (q[i] ?? 1)) * Math.log(share / (q[i] ?? 1)), 0);
      const draws = Array.from({ length: 2_000 }, () => {
        const drawn = (shares: readonly number[], users: number) => ({
          counts: drawMultinomial(random, users, shares),
          users,
        });
        return stabilityIndex(drawn(q, 4_000), drawn(p, 1_000)) ?? { estimate: Number.NaN, variance: Number.NaN };
      });
      const mean = draws.reduce((sum, draw) => sum + draw.estimate, 0) / draws.length;
      const variance = draws.reduce((sum, draw) => sum + (draw.estimate - mean) ** 2, 0) / draws.length;
      const said = draws.reduce((sum, draw) => sum + draw.variance, 0) / draws.length;
      expect(Math.abs(mean - truth)).toBeLessThan(4 * Math.sqrt(variance / draws.length) + 5e-4);
      expect(said / variance).toBeGreaterThan(0.85);
      // Without a shift, the first-order term, which should be 0, is added.
      expect(said / variance).toBeLessThan(3.5);
    }
  });
});
