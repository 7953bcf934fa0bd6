/**
 * Whether the signature of a model can be passed on. Its signature goes to the process that serves, and from there into
 * messages, logs and terminals; the file chooses the names, which may be as long as the file.
 */
import type { ModelFault } from '../model-file/onnx-file.ts';
import type { Signature } from './protocol.ts';

/** A query has 1,664 columns at most in Postgres, and a prediction far fewer fields. */
const MAX_TENSORS = 4_096;
const MAX_NAME = 256;
/** Features have two, and no output that becomes a prediction has many; a file of four megabytes can claim a million. */
const MAX_DIMENSIONS = 16;

export function signatureFault({ inputs, outputs }: Signature): ModelFault | null {
  const tensors = [...inputs, ...outputs];
  if (tensors.length > MAX_TENSORS) {
    return {
      reason: `it has ${inputs.length} inputs and ${outputs.length} outputs; ${MAX_TENSORS} together are the most`,
      remedy: 'Export the model with one matrix of features as its input.',
    };
  }
  const deep = tensors.find(({ shape }) => shape.length > MAX_DIMENSIONS);
  if (deep) {
    return {
      reason: `one of its inputs or outputs has ${deep.shape.length} dimensions; ${MAX_DIMENSIONS} are the most`,
      remedy: 'Export the model with inputs of the form [users, features].',
    };
  }
  const names = tensors.flatMap(({ name, shape }) => [name, ...shape.filter((size) => typeof size === 'string')]);
  const odd = names.find((name) => name.length > MAX_NAME || /\p{Cc}/u.test(name));
  if (odd === undefined) return null;
  return {
    reason: `one of its inputs or outputs has a name of ${odd.length} characters that begins with ${JSON.stringify(odd.slice(0, 32))}`,
    remedy: `Export the model with names of at most ${MAX_NAME} characters, and no control characters among them.`,
  };
}
