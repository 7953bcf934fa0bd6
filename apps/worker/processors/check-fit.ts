/** Whether the online store keeps a generation in its compact form; where it does not, the log says what to change. */
import { type BucketFitDependencies, checkBuckets } from '@tandem/online-store/bucket-fit';
import type { Generation } from '@tandem/prediction/runs/generations';

/** Never rejects: a store that does not answer makes the check fail, not the job. */
export type CheckFit = (generation: Generation) => Promise<void>;

export function createCheckFit(dependencies: BucketFitDependencies): CheckFit {
  return async (generation) => {
    await checkBuckets(dependencies, generation).catch(() => undefined);
  };
}
