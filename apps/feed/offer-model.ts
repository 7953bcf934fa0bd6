/**
 * The model of the simulated feed: a logistic regression on the features of feed-history.ts. The rounded coefficients
 * were fitted to the chances at 96,555 simulated reads of the seeds 1001 and 1002. No report uses these seeds.
 */
import { writeFile } from 'node:fs/promises';
import { linearModel } from '@tandem/testing/onnx-models';

/** The coefficients of affinity, opened_10m and passed_10m. */
export const WEIGHTS = [0.53, 0.42, -0.26] as const;
export const BIAS = -2.29;
export const MODEL_FILE = new URL('./model/offer.onnx', import.meta.url);

/** Returns the bytes of model/offer.onnx. */
export function offerModel(): Buffer {
  return linearModel({ weights: WEIGHTS, bias: BIAS });
}

// `node apps/feed/offer-model.ts` writes the file again.
if (import.meta.main) await writeFile(MODEL_FILE, offerModel());
