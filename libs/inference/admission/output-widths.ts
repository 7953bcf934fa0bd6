/**
 * Whether a run gave as many values a user as the prediction's fields take. A model's declaration does not say: converters
 * write [users, 1] for forests of several targets, whose second value would then be lost without a word.
 */

import type { OutputTensors } from '@tandem/freshness/outputs';
import type { ModelDefinition } from '@tandem/freshness/predictor';
import { widthMisfit } from '@tandem/prediction/models/output-fit';
import type { Signature } from '../process/protocol.ts';
import { refuseOutput } from './signature.ts';

export type CheckWidths = (tensors: OutputTensors) => void;

/**
 * Throws `model_refused`, naming the field, at the first that the tensors do not fit.
 * @param unplaced fields of which the config says neither index nor width: they take the only value there is
 */
export function createWidthCheck(
  definition: ModelDefinition,
  signature: Signature,
  unplaced: ReadonlySet<string>,
): CheckWidths {
  return (tensors) => {
    for (const field of definition.outputs) {
      const declared = signature.outputs.find(({ name }) => name === field.output);
      const given = tensors[field.output]?.width;
      if (!declared || given === undefined) continue;
      const misfit = widthMisfit(field, declared, given, !unplaced.has(field.name));
      if (misfit) throw refuseOutput(definition, field, misfit);
    }
  };
}
