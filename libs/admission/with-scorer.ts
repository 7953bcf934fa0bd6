/** Runs the model of a checked config in a separate process. */

import { type ModelVersion, modelVersionId } from '@tandem/freshness/predictor';
import { createInferencePool, type InferencePool } from '@tandem/inference/live/pool';
import type { CheckedPredictor } from './judge-predictor.ts';

/** Returns the model version that would be served after the adoption. It has no number yet. */
export function versionOf({ definition }: Pick<CheckedPredictor, 'definition'>): ModelVersion {
  return { ...definition, id: modelVersionId(definition), number: 0 };
}

/**
 * Loads the model for the duration of the work.
 * @param memoryLimitMb the memory limit of the process
 */
export async function withScorer<T>(
  predictor: Pick<CheckedPredictor, 'definition' | 'artifact'>,
  memoryLimitMb: number,
  work: (scorer: InferencePool, version: ModelVersion) => Promise<T>,
): Promise<T> {
  const version = versionOf(predictor);
  const scorer = createInferencePool({
    loadArtifact: async () => predictor.artifact,
    processes: 1,
    // A person waits for the result, so the process keeps the priority of the command.
    niceSteps: 0,
    memoryLimitMb,
    log: () => undefined,
  });
  try {
    await scorer.warmUp(version);
    return await work(scorer, version);
  } finally {
    await scorer.close();
  }
}
