/**
 * Whether a field of a prediction can be taken from an output tensor of a model. The one place that decides it, for a
 * config before it is adopted and for a definition before it serves.
 */
import type { Misfit } from './input-fit.ts';
import { type DescribedTensor, describeTensor, isFixed } from './model-signature.ts';
import type { TensorType } from './predictor.ts';

/** A prediction is a few numbers; a wider output is a mistake, or an attack on memory. */
const MAX_OUTPUT_WIDTH = 65_536;

/** What is asked of a tensor: one value a user at `index`, or the `width` values from there on. */
export interface WantedOutput {
  readonly type: TensorType;
  readonly index: number;
  readonly width: number | null;
}

/**
 * Everything that keeps the field from being taken from the tensor, in order; empty where it fits. What the first dimension
 * is declared to be counts for nothing: LightGBM's converter writes label [1] and gives [users]. The trial run counts.
 */
export function outputMisfits(wanted: WantedOutput, tensor: DescribedTensor): Misfit[] {
  if (tensor.type === null) return [mapOutput(tensor)];
  const misfits: Misfit[] = [];
  if (!sameType(tensor.type, wanted.type)) {
    const problem = `is declared ${wanted.type}, and the model gives ${describeTensor(tensor)}`;
    misfits.push({ problem, remedy: `write '${tensor.type}'` });
  }
  const width = valuesPerUser(tensor);
  const last = wanted.index + (wanted.width ?? 1);
  if (width !== null && width > MAX_OUTPUT_WIDTH) {
    const problem = `the model gives ${width} values a user in ${describeTensor(tensor)}; ${MAX_OUTPUT_WIDTH} is the most`;
    misfits.push({ problem, remedy: 'export the model with the few of them that a prediction needs' });
  } else if (width !== null && last > width) {
    const problem = `takes value ${last - 1}, and the model's output ${describeTensor(tensor)} has ${width} a user, counted from 0`;
    misfits.push({ problem, remedy: `take values up to ${width - 1} with index and width` });
  }
  return misfits;
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
