/**
 * Checks whether a field of a prediction can be taken from an output tensor of a model. The same check serves a config
 * before it is adopted and a definition before it serves.
 */

import { FIXED_BYTES } from '@tandem/freshness/outputs';
import type { OutputField, TensorType } from '@tandem/freshness/predictor';
import type { Misfit } from './input-fit.ts';
import { type DescribedTensor, describeTensor, isFixed } from './verification.ts';

/**
 * The maximum width of an output. A prediction is a few numbers; a wider output is a mistake or an attack on memory.
 */
const MAX_OUTPUT_WIDTH = 65_536;

/** The use of a tensor: one value a user at `index`, or `width` values from there. */
interface WantedOutput {
  readonly type: TensorType;
  readonly index: number;
  readonly width: number | null;
}

/**
 * Returns every reason, visible in the declaration, why the field cannot be taken from the tensor, in order; empty if
 * it fits. The output sizes that a model declares may be wrong: LightGBM's converter writes label [1] and gives
 * [users], skl2onnx writes [users, 1] for a forest of two targets and gives [users, 2]. So the trial run checks the
 * number of values (`widthMisfit`).
 */
export function outputMisfits(wanted: WantedOutput, tensor: DescribedTensor): Misfit[] {
  if (tensor.type === null) return [mapOutput(tensor)];
  const misfits: Misfit[] = [];
  if (!sameType(tensor.type, wanted.type)) {
    const problem = `is declared ${wanted.type}, but the model gives ${describeTensor(tensor)}`;
    misfits.push({ problem, remedy: `write '${tensor.type}'` });
  }
  const width = valuesPerUser(tensor);
  if (width !== null && width > MAX_OUTPUT_WIDTH) {
    const problem = `the model gives ${width} values a user in ${describeTensor(tensor)}; the maximum is ${MAX_OUTPUT_WIDTH}`;
    misfits.push({ problem, remedy: 'export the model with only the values that a prediction needs' });
  }
  return misfits;
}

/**
 * Returns the misfit of a field with the values that a run gave; null if they fit.
 * @param given the number of values a user that the run gave
 * @param isPlaced whether the config chooses values by index or width; without them, a field of several values is
 * ambiguous
 */
export function widthMisfit(
  wanted: WantedOutput,
  tensor: DescribedTensor,
  given: number,
  isPlaced: boolean,
): Misfit | null {
  const declared = valuesPerUser(tensor);
  const output = `the model's output ${describeTensor(tensor)}`;
  const said = declared === null || declared === given ? '' : ` (it declares ${declared})`;
  const last = wanted.index + (wanted.width ?? 1);
  if (last > given) {
    const problem = `takes value ${last - 1}, counted from 0, but ${output} gives only ${counted(given)} a user${said}`;
    const remedy =
      given === 0
        ? 'export the model so that the output has a value for each user'
        : `take values up to ${given - 1} with index and width`;
    return { problem, remedy };
  }
  if (isPlaced || given === 1) return null;
  return {
    problem: `${output} gives ${counted(given)} a user${said}, but the config does not say which one to take`,
    remedy: `write index: 0 (up to ${given - 1}) for one of them, or width: ${given} for all`,
  };
}

function counted(values: number): string {
  return values === 1 ? '1 value' : `${values} values`;
}

/**
 * Returns the number of values a user in a tensor of shape [users, …]; null if the model leaves it open or declares no
 * shape.
 */
export function valuesPerUser({ shape }: DescribedTensor): number | null {
  if (shape.length === 0) return null;
  return shape
    .slice(1)
    .reduce<number | null>((width, size) => (width === null || !isFixed(size) ? null : width * size), 1);
}

/**
 * Returns whether the model's type matches the declared type. A float16 is stored as a float32, so it may be declared
 * as either.
 */
export function sameType(given: string | null, said: TensorType): boolean {
  return given === said || (given === 'float16' && said === 'float32');
}

function mapOutput({ name }: DescribedTensor): Misfit {
  return {
    problem: `the model gives ${name} as a sequence of maps, or of tensors, rather than one tensor (ZipMap, the default of skl2onnx and onnxmltools for classifiers)`,
    remedy:
      "export it without ZipMap: skl2onnx's to_onnx(model, X, options={id(model): {'zipmap': False}}); onnxmltools' convert_lightgbm(…, zipmap=False)",
  };
}

// Single outputs are read in place from the binary layout of outputs.ts (little-endian). A comparison of generations
// reads millions of outputs, and a prediction object for each took five times as long as the rest of it.

/** Returns an offset into the bytes, for outputs that begin at `start`. */
export type PlaceOf = (bytes: Buffer, start: number) => number;

/** Returns a function that gives the offset of the field at `index`; for `fields.length`, the end of the outputs. */
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

/** Returns whether a field has one number a user (a boolean is 0 or 1). */
export function isNumber({ type, width }: OutputField): boolean {
  return type !== 'string' && width === null;
}

/**
 * Returns a function that reads the value at an offset as a number. A 64-bit integer beyond 2^53 becomes the nearest
 * double.
 */
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

/** Returns a threshold rounded to the output's type: as a double, 0.7 is above the float32 that is printed as 0.7. */
export function asHeld(type: TensorType, threshold: number): number {
  return type === 'float32' || type === 'float16' ? Math.fround(threshold) : threshold;
}
