import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  criticalZ,
  criticalZAbove,
  logEvidenceAbove,
  logEvidenceOfDifference,
  type SequenceSize,
} from './confidence-sequence.ts';

/** The mixtures of the module: the number of users that each is tuned for, and its weight. */
const MIXTURES = [
  [1_500, 0.38],
  [40_000, 0.24],
  [1_000_000, 0.38],
] as const;

/**
 * Returns the e-values by definition: the likelihood ratio of an effect θ to no effect, exp(θz√r − θ²r/2), averaged
 * over a normal or half-normal θ with the scale of each mixture. It is integrated by Simpson's rule.
 */
function averagedRatio(z: number, { users, alpha }: SequenceSize, folded: boolean): number {
  const twice = -2 * Math.log(alpha);
  return MIXTURES.reduce((sum, [tunedFor, weight]) => {
    const information = (users * (twice + Math.log(twice + 1))) / tunedFor;
    return sum + weight * averagedOver(z, information, folded);
  }, 0);
}

function averagedOver(z: number, information: number, folded: boolean): number {
  const [from, to, steps] = [folded ? 0 : -12, 12, 4_000];
  const width = (to - from) / steps;
  const density = (folded ? 2 : 1) / Math.sqrt(2 * Math.PI);
  const at = (theta: number) =>
    density * Math.exp(theta * z * Math.sqrt(information) - (theta * theta * (information + 1)) / 2);
  let sum = at(from) + at(to);
  for (let step = 1; step < steps; step++) sum += (step % 2 === 0 ? 2 : 4) * at(from + step * width);
  return (sum * width) / 3;
}

const zs = fc.double({ min: -4, max: 4, noNaN: true });
const sizes = fc.record({
  users: fc.integer({ min: 20, max: 20_000 }),
  alpha: fc.double({ min: 0.001, max: 0.2, noNaN: true }),
});

describe('the evidence of a normal estimate', () => {
  it('is the average likelihood ratio of a normal effect to none', () => {
    fc.assert(
      fc.property(zs, sizes, (z, size) => {
        expect(logEvidenceOfDifference(z, size)).toBeCloseTo(Math.log(averagedRatio(z, size, false)), 6);
      }),
      { numRuns: 30 },
    );
  });

  it('for "it is above" is the average over positive effects', () => {
    fc.assert(
      fc.property(zs, sizes, (z, size) => {
        expect(logEvidenceAbove(z, size)).toBeCloseTo(Math.log(averagedRatio(z, size, true)), 6);
      }),
      { numRuns: 30 },
    );
  });

  it('reaches 1 / alpha exactly at the critical z', () => {
    fc.assert(
      fc.property(sizes, (size) => {
        const needed = -Math.log(size.alpha);
        expect(logEvidenceOfDifference(criticalZ(size, size.alpha), size)).toBeCloseTo(needed, 8);
        expect(logEvidenceAbove(criticalZAbove(size, size.alpha), size)).toBeCloseTo(needed, 8);
      }),
    );
  });
});
