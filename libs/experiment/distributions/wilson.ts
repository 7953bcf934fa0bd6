/**
 * Computes an interval for a share by Wilson's score, which also holds for shares near 0 or 1 and for small samples. E.
 * B. Wilson, "Probable inference, the law of succession, and statistical inference", 1927.
 */

export interface Interval {
  readonly low: number;
  readonly high: number;
}

/** The number of standard deviations within which 95 % of a normal distribution lie. */
const Z_95 = 1.959964;

/** Returns the 95 % interval of the true share; 0 to 1 without trials. */
export function wilsonInterval(successes: number, trials: number, z: number = Z_95): Interval {
  if (trials === 0) return { low: 0, high: 1 };
  const share = successes / trials;
  const weight = 1 + z ** 2 / trials;
  const middle = (share + z ** 2 / (2 * trials)) / weight;
  const half = (z / weight) * Math.sqrt((share * (1 - share)) / trials + z ** 2 / (4 * trials ** 2));
  // Removes rounding errors at the exact ends.
  const low = successes === 0 ? 0 : Math.max(0, middle - half);
  return { low, high: successes === trials ? 1 : Math.min(1, middle + half) };
}
