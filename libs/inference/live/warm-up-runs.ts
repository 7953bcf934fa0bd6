/**
 * A model's first runs, made before anybody waits for one: they allocate what later runs use again, and show that the
 * model runs within the bounds of its child. Whether its answers are right was tried when it was taken on (trial.ts).
 */
import { isTandemError } from '@tandem/freshness/errors';
import type { ModelVersion } from '@tandem/freshness/predictor';
import type { InferenceProcess } from '../process/inference-process.ts';
import { cpuLimit } from '../process/time-limit.ts';
import { encodeInputs, joinInputs } from '../tensors/input-tensors.ts';
import { makeUpRows } from '../tensors/made-up-rows.ts';

/** Users of each run; one alone is the commonest, and the first run of all the dearest. */
const SIZES = [1, 1, 2, 7, 64];
/** Of one run: a model that takes more would be killed by its readers' deadlines. */
const RUN_LIMIT = cpuLimit(10_000);

/**
 * Runs the loaded model on made-up users. One whom it refuses, as it may a real one, says nothing against it.
 * Rejects with ProcessEnded where the process does not survive, `overloaded` where the machine gave it too little CPU.
 */
export async function warmUpRuns(process: InferenceProcess, version: ModelVersion): Promise<void> {
  const { artifactHash, inputs, outputs, rowByRow = false } = version;
  const batch = makeUpRows(version, Math.max(...SIZES));
  const fetches = [...new Set(outputs.map(({ output }) => output))];
  for (const size of SIZES) {
    const rows = Array.from({ length: size }, (_, row) => row);
    try {
      const feeds = joinInputs([encodeInputs(inputs, batch, rows)], size);
      await process.run({ session: artifactHash, feeds, fetches, rowByRow }, RUN_LIMIT);
    } catch (error) {
      if (!isTandemError(error, 'live_failed', 'features_unusable')) throw error;
    }
  }
}
