/** Reference figures: SciPy 1.17.1 (`special.gammaln`, `special.betaln`, `stats.norm`, `stats.chi2`). */
import fc from 'fast-check';
import { describe, expect, it, test } from 'vitest';
import { logBeta, logGamma, upperGamma } from './gamma.ts';
import { normalCdf, normalQuantile } from './normal.ts';

/** Compares relative to the expected value, so that tails are tested as precisely as the rest. */
function expectClose(actual: number, expected: number, relative = 1e-11) {
  expect(Math.abs(actual - expected), `${actual} for ${expected}`).toBeLessThanOrEqual(
    Math.max(relative * Math.abs(expected), 1e-14 * relative),
  );
}

test.each([
  [0.001, 6.907178885383853],
  [0.1, 2.252712651734206],
  [0.5, 0.5723649429247],
  [2.5, 0.2846828704729192],
  [10, 12.801827480081469],
  [123.4, 469.3360974421906],
  [1e4, 82099.71749644238],
  [1e6, 12815504.569147611],
])('ln Γ(%d)', (x, expected) => expectClose(logGamma(x), expected, 1e-13));

test.each([
  [0.2, 1, 1.6094379124341003],
  [0.1, 10_001, 1.3316731146769598],
  [30.1, 9_971, -205.59205579356058],
  [0.5, 500_000, -5.988816495984793],
])('ln B(%d, %d)', (a, b, expected) => expectClose(logBeta(a, b), expected, 1e-9));

test.each([
  [-8, 6.22096057427174e-16],
  [-3, 0.0013498980316300933],
  [-1, 0.15865525393145707],
  [0, 0.5],
  [0.5, 0.6914624612740131],
  [1.96, 0.9750021048517795],
  [6, 0.9999999990134123],
])('Φ(%d)', (x, expected) => expectClose(normalCdf(x), expected));

test.each([
  [1e-300, -37.0470962993612],
  [1e-12, -7.034483825301131],
  [0.001, -3.090232306167813],
  [0.025, -1.9599639845400545],
  [0.3, -0.5244005127080409],
  [0.5, 0],
  [0.8, 0.8416212335729143],
  [0.975, 1.959963984540054],
  [0.999999, 4.753424308817087],
])('Φ⁻¹(%d)', (p, expected) => expectClose(normalQuantile(p), expected));

test.each([
  [0.5, 1, 0.47950012218695337],
  [3.841458820694124, 1, 0.05],
  [33.7, 9, 0.00010080678416966285],
  [10.828, 1, 0.0009997657195830916],
  [200, 3, 4.218541107192018e-43],
  [5, 20, 0.9997226479053791],
  [150, 100, 0.0009039320423540184],
])('χ² above %d with %d degrees of freedom', (x, freedom, expected) => {
  expectClose(upperGamma(freedom / 2, x / 2), expected);
});

describe('distributions', () => {
  it('Φ undoes Φ⁻¹', () => {
    fc.assert(
      fc.property(fc.double({ min: 1e-12, max: 1 - 1e-12, noNaN: true }), (p) => {
        expectClose(normalCdf(normalQuantile(p)), p, 1e-9);
      }),
    );
  });
});
