/**
 * Measures the number of values that a model's outputs have for each user, by a run with zeros as features. It is used
 * for a first config, which must not repeat a wrong declaration. If no input can be generated, outputs stay as
 * declared.
 */

import { isTensorType } from '@tandem/prediction/models/input-fit';
import { valuesPerUser } from '@tandem/prediction/models/output-fit';
import { isFixed } from '@tandem/prediction/models/verification';
import type { InferenceProcess } from '../process/inference-process.ts';
import type { Signature, SignatureTensor, TensorData, WireTensor } from '../process/protocol.ts';
import type { TimeLimit } from '../process/time-limit.ts';
import { allocate } from '../tensors/fill-tensor.ts';

/** The number of users. Two users detect a model that returns one row for any number of users. */
const USERS = 2;

/** Returns the outputs' shapes with the sizes of a run, or as declared if the model rejects the made-up users. */
export async function measureOutputs(
  process: InferenceProcess,
  session: string,
  signature: Signature,
  limit: TimeLimit,
): Promise<Signature> {
  const feeds = signature.inputs.map(zeros);
  const fetches = signature.outputs.filter(({ type }) => type !== null).map(({ name }) => name);
  const isKnown = (feed: WireTensor | null): feed is WireTensor => feed !== null;
  if (!feeds.every(isKnown) || fetches.length < signature.outputs.length) return signature;
  // If the model rejects zeros, the trial tests it with real users.
  const run = await process.run({ session, feeds, fetches, rowByRow: false }, limit).catch(() => null);
  if (run === null) return signature;
  const given = new Map(run.outputs.map(({ name, dims }) => [name, dims]));
  return { ...signature, outputs: signature.outputs.map((output) => withSizes(output, given.get(output.name) ?? [])) };
}

function withSizes(output: SignatureTensor, [users, ...sizes]: readonly number[]): SignatureTensor {
  const [first = 'N'] = output.shape;
  // If the model declares no number and the run gives a single value, the number stays open, so that the config
  // decides.
  const isOne = sizes.every((size) => size === 1);
  if (users !== USERS || (isOne && valuesPerUser(output) === null)) return output;
  return { ...output, shape: [first, ...sizes] };
}

/**
 * Returns a tensor of zeros for the users; null if the model takes another number of users, or does not declare the
 * number of values.
 */
function zeros({ name, type, shape }: SignatureTensor): WireTensor | null {
  const [users, ...sizes] = shape;
  if (!isTensorType(type) || shape.length === 0 || isFixed(users) || !sizes.every(isFixed)) return null;
  const size = sizes.reduce((product: number, length) => product * length, USERS);
  return size > MOST_VALUES ? null : { name, type, dims: [USERS, ...sizes], data: zerosOf(type, size) };
}

const MOST_VALUES = 1 << 20;

function zerosOf(type: WireTensor['type'], size: number): TensorData {
  if (type === 'string') return Array.from({ length: size }, () => '');
  return type === 'float16' ? new Uint16Array(size) : allocate(type, size);
}
