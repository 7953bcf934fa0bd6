/**
 * Checks that a model's signature can be passed on. The serving process puts it into messages, logs and terminals. The
 * file chooses the names, which may be as long as the file.
 */
import type { ModelFault } from '../model-file/onnx-file.ts';
import type { Signature } from './protocol.ts';

/**
 * The most inputs and outputs. A query in Postgres has at most 1,664 columns, and a prediction has far fewer fields.
 */
const MAX_TENSORS = 4_096;
const MAX_NAME = 256;
/**
 * The most dimensions. Features have two, and an output of a prediction has few. A file of 4 MB can declare a million.
 */
const MAX_DIMENSIONS = 16;

export function signatureFault({ inputs, outputs }: Signature): ModelFault | null {
  const tensors = [...inputs, ...outputs];
  if (tensors.length > MAX_TENSORS) {
    return {
      reason: `it has ${inputs.length} inputs and ${outputs.length} outputs; the maximum is ${MAX_TENSORS} together`,
      remedy: 'Export the model with one matrix of features as its input.',
    };
  }
  const deep = tensors.find(({ shape }) => shape.length > MAX_DIMENSIONS);
  if (deep) {
    return {
      reason: `one of its inputs or outputs has ${deep.shape.length} dimensions; the maximum is ${MAX_DIMENSIONS}`,
      remedy: 'Export the model with inputs of the form [users, features].',
    };
  }
  const names = tensors.flatMap(({ name, shape }) => [name, ...shape.filter((size) => typeof size === 'string')]);
  const odd = names.find((name) => name.length > MAX_NAME || /\p{Cc}/u.test(name));
  if (odd === undefined) return null;
  return {
    reason: `one of its inputs or outputs has a name of ${odd.length} characters that begins with ${JSON.stringify(odd.slice(0, 32))}`,
    remedy: `Export the model with names of at most ${MAX_NAME} characters and without control characters.`,
  };
}
