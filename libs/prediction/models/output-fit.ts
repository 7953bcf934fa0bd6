/**
 * Whether a field of a prediction can be taken from an output tensor of a model. The one place that decides it, for a
 * config before it is adopted and for a definition before it serves.
 */

import { FIXED_BYTES } from '@tandem/freshness/outputs';
import type { OutputField, TensorType } from '@tandem/freshness/predictor';
import type { Misfit } from './input-fit.ts';
import { type DescribedTensor, describeTensor, isFixed } from './verification.ts';

/** A prediction is a few numbers; a wider output is a mistake, or an attack on memory. */
const MAX_OUTPUT_WIDTH = 65_536;

/** The use of a tensor: one value a user at `index`, or `width` values from there. */
interface WantedOutput {
  readonly type: TensorType;
  readonly index: number;
  readonly width: number | null;
}

/**
 * Everything that the declaration shows to keep the field from being taken from the tensor, in order; empty if it fits.
 * The sizes that a model declares for its outputs are no promise: LightGBM's converter writes label [1] and gives [users],
 * skl2onnx writes [users, 1] for a forest of two targets and gives [users, 2]. How many values there are, the trial run
 * shows (`widthMisfit`).
 */
export function outputMisfits(wanted: WantedOutput, tensor: DescribedTensor): Misfit[] {
  if (tensor.type === null) return [mapOutput(tensor)];
  const misfits: Misfit[] = [];
  if (!sameType(tensor.type, wanted.type)) {
    const problem = `is declared ${wanted.type}, and the model gives ${describeTensor(tensor)}`;
    misfits.push({ problem, remedy: `write '${tensor.type}'` });
  }
  const width = valuesPerUser(tensor);
  if (width !== null && width > MAX_OUTPUT_WIDTH) {
    const problem = `the model gives ${width} values a user in ${describeTensor(tensor)}; ${MAX_OUTPUT_WIDTH} is the most`;
    misfits.push({ problem, remedy: 'export the model with the few of them that a prediction needs' });
  }
  return misfits;
}

/**
 * Returns the misfit of a field with the values that a run gave; null if they fit.
 * @param given values a user
 * @param isPlaced whether the config chooses values by index or width: the first of several would be a guess
 */
export function widthMisfit(
  wanted: WantedOutput,
  tensor: DescribedTensor,
  given: number,
  isPlaced: boolean,
): Misfit | null {
  const declared = valuesPerUser(tensor);
  const output = `the model's output ${describeTensor(tensor)}`;
  const said = declared === null || declared === given ? '' : ` declares ${counted(declared)} a user, and`;
  const last = wanted.index + (wanted.width ?? 1);
  if (last > given) {
    const problem = `takes value ${last - 1}, counted from 0, and ${output}${said} gives ${counted(given)} a user`;
    const remedy =
      given === 0
        ? 'export the model so that the output has a value for each user'
        : `take values up to ${given - 1} with index and width`;
    return { problem, remedy };
  }
  if (isPlaced || given === 1) return null;
  return {
    problem: `${output}${said} gives ${given}, and the config does not say which`,
    remedy: `say index: 0 (up to ${given - 1}) for one of them, or width: ${given} for all`,
  };
}

function counted(values: number): string {
  return values === 1 ? '1 value' : `${values} values`;
}

/** Values a user in a tensor of shape [users, …]; null if the model leaves it open, or declares no shape. */
export function valuesPerUser({ shape }: DescribedTensor): number | null {
  if (shape.length === 0) return null;
  return shape
    .slice(1)
    .reduce<number | null>((width, size) => (width === null || !isFixed(size) ? null : width * size), 1);
}

/** A half is stored as a single, and may be called so. */
export function sameType(given: string | null, said: TensorType): boolean {
  return given === said || (given === 'float16' && said === 'float32');
}

function mapOutput({ name }: DescribedTensor): Misfit {
  return {
    problem: `the model gives ${name} as a sequence of maps, or of tensors, rather than one tensor (ZipMap, the default of skl2onnx and onnxmltools for classifiers)`,
    remedy:
      "export it without: skl2onnx's to_onnx(model, X, options={id(model): {'zipmap': False}}); onnxmltools' convert_lightgbm(…, zipmap=False)",
  };
}

// Single outputs in the binary layout of outputs.ts, read where they lie: a comparison of generations looks at millions,
// and a prediction object for each took five times as long as all the rest. (The layout is little-endian.)

/** An offset into the bytes, of outputs that begin at `start`. */
export type PlaceOf = (bytes: Buffer, start: number) => number;

/** Returns the place of the field at `index`; for `fields.length`, the end of the outputs. */
export function placeOf(fields: readonly OutputField[], index: number): PlaceOf {
  const before = fields.slice(0, index);
  if (before.every(({ type }) => type !== 'string')) {
    const offset = before.reduce((sum, field) => sum + fixedSize(field), 0);
    return (_, start) => start + offset;
  }
  return (bytes, start) => before.reduce((at, field) => endOf(bytes, at, field), start);
}

function fixedSize({ type, width }: OutputField): number {
  return type === 'string' ? 0 : FIXED_BYTES[type] * (width ?? 1);
}

function endOf(bytes: Buffer, start: number, field: OutputField): number {
  if (field.type !== 'string') return start + fixedSize(field);
  let at = start;
  for (let i = 0; i < (field.width ?? 1); i++) at += 4 + bytes.readUInt32LE(at);
  return at;
}

/** Whether a field is one number a user (a boolean is 0 or 1). */
export function isNumber({ type, width }: OutputField): boolean {
  return type !== 'string' && width === null;
}

/** A value at an offset, as a number; of 64-bit integers beyond 2^53 the nearest. */
export function numberReader(type: TensorType): (bytes: Buffer, at: number) => number {
  switch (type) {
    case 'float16':
    case 'float32':
      return (bytes, at) => bytes.readFloatLE(at);
    case 'float64':
      return (bytes, at) => bytes.readDoubleLE(at);
    case 'int64':
      return (bytes, at) => Number(bytes.readBigInt64LE(at));
    case 'uint64':
      return (bytes, at) => Number(bytes.readBigUInt64LE(at));
    case 'int8':
    case 'int16':
    case 'int32':
      return (bytes, at) => bytes.readIntLE(at, FIXED_BYTES[type]);
    case 'uint8':
    case 'uint16':
    case 'uint32':
    case 'bool':
      return (bytes, at) => bytes.readUIntLE(at, FIXED_BYTES[type]);
    case 'string':
      throw new TypeError('a text is no number');
  }
}

/** A threshold as an output of that type can hold it: 0.7 is above every float32 that is written 0.7. */
export function asHeld(type: TensorType, threshold: number): number {
  return type === 'float32' || type === 'float16' ? Math.fround(threshold) : threshold;
}
