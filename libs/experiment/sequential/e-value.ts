/** E-values as figures: finite, so that they can be written as JSON. */

/** From its logarithm; at most some 1e304. */
export function eValueOf(logEvidence: number): number {
  return Math.exp(Math.min(logEvidence, 700));
}

/** The p-value of an e-value, valid at any look: its reciprocal, by Ville's inequality. */
export function alwaysValidP(logEvidence: number): number {
  return Math.min(1, Math.exp(-logEvidence));
}

/** ln of the mean of two e-values, which is one again. */
export function logOfMean(one: number, other: number): number {
  const most = Math.max(one, other);
  return most === Number.NEGATIVE_INFINITY
    ? most
    : most + Math.log((Math.exp(one - most) + Math.exp(other - most)) / 2);
}
