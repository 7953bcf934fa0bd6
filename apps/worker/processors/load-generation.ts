/** Job `load-generation`: loads a generation that is missing in Redis. */

import { type BucketFitDependencies, checkBuckets } from '@tandem/online-store/bucket-fit';
import type { Generation } from '@tandem/prediction/runs/generations';
import { type LoadGenerationDependencies, loadGeneration } from '@tandem/prediction/runs/online-generations';
import type { Handler } from '@tandem/queue/run-worker';

interface LoadGenerationProcessorDependencies extends LoadGenerationDependencies {
  readonly checkFit: CheckFit;
}

export function createLoadGeneration(dependencies: LoadGenerationProcessorDependencies): Handler<'load-generation'> {
  const { generations, checkFit } = dependencies;
  return async ({ generationId }, job) => {
    const report = await loadGeneration(dependencies, generationId, job.progress);
    const generation = report.outcome === 'loaded' ? await generations.find(generationId) : undefined;
    if (generation) await checkFit(generation);
    return { ...report };
  };
}

/** Checks a generation. Never rejects: if the store does not answer, the check fails but the job does not. */
export type CheckFit = (generation: Generation) => Promise<void>;

export function createCheckFit(dependencies: BucketFitDependencies): CheckFit {
  return async (generation) => {
    await checkBuckets(dependencies, generation).catch(() => undefined);
  };
}
