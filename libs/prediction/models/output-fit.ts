/**
 * Whether a field of a prediction can be taken from an output tensor of a model. The one place that decides it, for a
 * config before it is adopted and for a definition before it serves.
 */

import type { TensorType } from '@tandem/freshness/predictor';
import type { Misfit } from './input-fit.ts';
import { type DescribedTensor, describeTensor, isFixed } from './model-signature.ts';

/** A prediction is a few numbers; a wider output is a mistake, or an attack on memory. */
const MAX_OUTPUT_WIDTH = 65_536;

/** What is asked of a tensor: one value a user at `index`, or the `width` values from there on. */
export interface WantedOutput {
  readonly type: TensorType;
  readonly index: number;
  readonly width: number | null;
}

/**
 * Everything that the declaration shows to keep the field from being taken from the tensor, in order; empty where it fits.
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
 * What the values that a run gave say of the field; null where it can be taken.
 * @param given values a user
 * @param isPlaced whether the config says which are meant, by index or width: the first of several would be a guess
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

/** Values a user in a tensor of shape [users, …]; null where the model leaves it open, or declares no shape. */
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
