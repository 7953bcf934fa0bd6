/** How a prediction comes about and into the overlay, whoever computes it. */
import type { ErasureState, Prediction } from './erasure-state.ts';

/** By compare-and-set: not below the hint, nor below what is there. */
export function putEntry({ redis }: ErasureState, entry: Prediction): void {
  if (redis.hint <= entry.label && (redis.overlay?.label ?? -1) <= entry.label) redis.overlay = entry;
}

/** Features and version in one statement. */
export function predictionNow({ postgres }: ErasureState): Prediction {
  return { label: postgres.version, era: postgres.erasures };
}
