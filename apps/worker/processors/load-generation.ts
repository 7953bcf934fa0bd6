/** Job `load-generation`: loads a generation that is missing in Redis. */
import { type LoadGenerationDependencies, loadGeneration } from '@tandem/prediction/runs/online-generations';
import type { Handler } from '@tandem/queue/run-worker';
import type { CheckFit } from './check-fit.ts';

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
