/** Runs the model of a config that is checked, in a separate process. */
import type { CheckedPredictor } from '@tandem/admission/judge-predictor';
import { type ModelVersion, modelVersionId } from '@tandem/freshness/predictor';
import { createInferencePool, type InferencePool } from '@tandem/inference/live/pool';

/** The model version that adopting the config would serve; it has no number yet. */
export function versionOf({ definition }: Pick<CheckedPredictor, 'definition'>): ModelVersion {
  return { ...definition, id: modelVersionId(definition), number: 0 };
}

/**
 * Loads the model for the time of the work.
 * @param memoryLimitMb of the process
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
    // A person waits for it.
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
