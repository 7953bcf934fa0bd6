/**
 * Checks whether the online store keeps a generation in its compact form. If not, the log says which setting to change.
 */
import { type BucketFitDependencies, checkBuckets } from '@tandem/online-store/bucket-fit';
import type { Generation } from '@tandem/prediction/runs/generations';

/** Checks a generation. Never rejects: if the store does not answer, the check fails but the job does not. */
export type CheckFit = (generation: Generation) => Promise<void>;

export function createCheckFit(dependencies: BucketFitDependencies): CheckFit {
  return async (generation) => {
    await checkBuckets(dependencies, generation).catch(() => undefined);
  };
}
