/** Job `load-generation`: fills Redis with a generation that it lost, or never had. */
import { type LoadGenerationDependencies, loadGeneration } from '@tandem/prediction/load-generation';
import type { Handler } from '@tandem/queue/run-worker';

export function createLoadGeneration(dependencies: LoadGenerationDependencies): Handler<'load-generation'> {
  return async ({ generationId }, job) => ({ ...(await loadGeneration(dependencies, generationId, job.progress)) });
}
