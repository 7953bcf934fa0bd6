/** Computes a prediction and stores it in the overlay, for any process. */
import type { ErasureState, Prediction } from './erasure-state.ts';

/** Stores an entry by compare-and-set: not below the hint, and not below the stored entry. */
export function putEntry({ redis }: ErasureState, entry: Prediction): void {
  if (redis.hint <= entry.label && (redis.overlay?.label ?? -1) <= entry.label) redis.overlay = entry;
}

/** Reads features and version in one statement, and computes a prediction. */
export function predictionNow({ postgres }: ErasureState): Prediction {
  return { label: postgres.version, era: postgres.erasures };
}
