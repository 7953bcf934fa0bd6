/** The least distance of a probability from 0 and 1, since a wrong 0 or 1 would have an infinite log-loss. */
const LEAST_PROBABILITY = 1e-7;

/** Returns the log-loss: minus the logarithm of the probability that the score gave to the outcome. */
export function logLoss(score: number, happened: boolean): number {
  const probability = Math.min(1 - LEAST_PROBABILITY, Math.max(LEAST_PROBABILITY, score));
  return -Math.log(happened ? probability : 1 - probability);
}
