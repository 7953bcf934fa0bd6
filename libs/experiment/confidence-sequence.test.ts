import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { criticalZ, criticalZAbove, logEvidenceAbove, logEvidenceOfDifference } from './confidence-sequence.ts';

/**
 * What both e-values are by definition: the likelihood ratio of an effect θ to none, exp(θz√r − θ²r/2), averaged over a
 * normal θ, or over one folded to the positive side. By Simpson's rule.
 */
function averagedRatio(z: number, information: number, folded: boolean): number {
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
const informations = fc.double({ min: 0.01, max: 20, noNaN: true });

describe('the evidence of a normal estimate', () => {
  it('is the average likelihood ratio of a normal effect to none', () => {
    fc.assert(
      fc.property(zs, informations, (z, information) => {
        expect(logEvidenceOfDifference(z, information)).toBeCloseTo(Math.log(averagedRatio(z, information, false)), 6);
      }),
      { numRuns: 30 },
    );
  });

  it('that it is above is that of a positive effect', () => {
    fc.assert(
      fc.property(zs, informations, (z, information) => {
        expect(logEvidenceAbove(z, information)).toBeCloseTo(Math.log(averagedRatio(z, information, true)), 6);
      }),
      { numRuns: 30 },
    );
  });

  it('reaches what alpha asks for exactly at the critical z', () => {
    fc.assert(
      fc.property(informations, fc.double({ min: 0.001, max: 0.2, noNaN: true }), (information, alpha) => {
        const needed = -Math.log(alpha);
        expect(logEvidenceOfDifference(criticalZ(information, alpha), information)).toBeCloseTo(needed, 8);
        expect(logEvidenceAbove(criticalZAbove(information, alpha), information)).toBeCloseTo(needed, 8);
      }),
    );
  });
});
