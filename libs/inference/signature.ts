/**
 * Whether a model's inputs and outputs are those that a predictor's definition counts on. Every message names both
 * sides and the path in the config where one of them can be changed.
 */
import { TandemError } from '@tandem/prediction/errors';
import { describeTensor } from '@tandem/prediction/model-signature';
import type { FeatureKind, ModelDefinition, ModelInput, OutputField, TensorType } from '@tandem/prediction/predictor';
import type { Signature, SignatureTensor } from './protocol.ts';

/** A prediction is a few numbers; a wider output is a mistake, or an attack on memory. */
const MAX_OUTPUT_WIDTH = 65_536;

/** Throws `model_refused` for the first thing that does not fit. What shapes leave open, a trial run must show. */
export function checkSignature(definition: ModelDefinition, signature: Signature): void {
  const path = `predictors.${definition.predictor}`;
  checkNotEmpty(definition.predictor, signature);
  for (const input of signature.inputs) checkFilled(definition, input);
  for (const input of definition.inputs) checkInput(definition, input, signature);
  for (const field of definition.outputs) checkOutput(path, field, signature);
}

/** Throws `model_refused` where a model takes or gives nothing at all. */
function checkNotEmpty(predictor: string, { inputs, outputs }: Signature): void {
  const path = `predictors.${predictor}.model`;
  if (inputs.length === 0)
    throw refuse(path, 'the model takes no inputs, so every user would get one answer', EXPORT_AGAIN);
  if (outputs.length === 0) throw refuse(path, 'the model gives no outputs', EXPORT_AGAIN);
}

/** The error of a model that cannot be used. @param field where in the config the remedy applies */
export function refuse(field: string, text: string, remedy: string, cause?: unknown): TandemError {
  return new TandemError('model_refused', text, { field, remedy, ...(cause === undefined ? {} : { cause }) });
}

const EXPORT_AGAIN = 'Export the model again, from the trained model that you mean to serve.';

function checkFilled({ predictor, inputs }: ModelDefinition, taken: SignatureTensor): void {
  if (inputs.some((input) => input.name === taken.name)) return;
  throw refuse(
    `predictors.${predictor}.inputs`,
    `the model takes an input ${describeTensor(taken)}, which the config fills from no feature (it fills ${namesOf(inputs)})`,
    `Give the feature query a column for ${taken.name}, or export the model without that input.`,
  );
}

function checkInput(definition: ModelDefinition, input: ModelInput, signature: Signature): void {
  const path = `predictors.${definition.predictor}.inputs.${input.name}`;
  const taken = signature.inputs.find(({ name }) => name === input.name);
  if (!taken) {
    const text = `the config fills an input ${input.name}, but the model takes ${namesOf(signature.inputs)}`;
    throw refuse(path, text, "Use the model's own names for its inputs.");
  }
  if (taken.type !== input.type) {
    const text = `the model takes ${describeTensor(taken)}, but the config fills ${input.name} as ${input.type}`;
    throw refuse(path, text, taken.type === null ? EXPORT_AGAIN : `Say type ${taken.type} there.`);
  }
  const [users, width, ...deeper] = taken.shape;
  if (typeof users === 'number') throw fixedBatch(path, taken, 'input');
  if (taken.shape.length === 1 || deeper.length > 0) {
    const text = `the model takes ${describeTensor(taken)}, but features are sent as [users, columns]`;
    throw refuse(path, text, 'Export the model with inputs of rank 2.');
  }
  if (typeof width === 'number' && width !== input.columns.length) {
    const columns = `${input.columns.length} columns (${input.columns.join(', ')})`;
    const text = `the model takes ${width} values a user in ${describeTensor(taken)}, but the features give it ${columns}`;
    throw refuse(
      `predictors.${definition.predictor}.features`,
      text,
      'Make the columns those that the model was trained on, in its order.',
    );
  }
  checkKinds(definition, input);
}

function checkKinds({ predictor, query }: ModelDefinition, input: ModelInput): void {
  for (const name of input.columns) {
    const column = query.columns.find((each) => each.name === name);
    const path = `predictors.${predictor}.features`;
    if (!column) {
      const text = `input ${input.name} is filled from a column ${name}, which the feature query does not have`;
      throw refuse(path, text, `The query has ${namesOf(query.columns)}.`);
    }
    if (holds(input.type, column.kind)) continue;
    const text = `input ${input.name} of the model is ${input.type}, but its column ${name} is of kind ${column.kind}`;
    throw refuse(path, text, `Cast ${name} in the feature query, or export the model with another input type.`);
  }
}

function holds(type: TensorType, kind: FeatureKind): boolean {
  switch (kind) {
    case 'string':
      return type === 'string';
    case 'number':
      return type === 'float16' || type === 'float32' || type === 'float64';
    case 'integer':
      return type !== 'string' && type !== 'bool';
    case 'boolean':
      return type !== 'string';
  }
}

function checkOutput(predictorPath: string, field: OutputField, signature: Signature): void {
  const path = `${predictorPath}.outputs.${field.name}`;
  const given = signature.outputs.find(({ name }) => name === field.output);
  if (!given) {
    const text = `the config takes ${field.name} from an output ${field.output}, but the model gives ${namesOf(signature.outputs)}`;
    throw refuse(path, text, "Use one of the model's own output names there.");
  }
  if (given.type === null) throw notATensor(path, given);
  if (!sameType(given.type, field.type)) {
    const text = `the model gives ${describeTensor(given)}, but the config says ${field.type}`;
    throw refuse(path, text, `Say ${given.type} there, or export the model with an output of type ${field.type}.`);
  }
  if (typeof given.shape[0] === 'number') throw fixedBatch(path, given, 'output');
  const widths = given.shape.slice(1);
  if (given.shape.length === 0 || !widths.every((size) => typeof size === 'number')) return;
  const width = widths.reduce((product, size) => product * size, 1);
  const last = field.index + (field.width ?? 1);
  if (width > MAX_OUTPUT_WIDTH) {
    const text = `the model gives ${width} values a user in ${describeTensor(given)}; ${MAX_OUTPUT_WIDTH} is the most`;
    throw refuse(path, text, EXPORT_AGAIN);
  }
  if (last <= width) return;
  const text = `the config takes value ${last - 1} of ${field.output}, but the model gives ${width} a user, counted from 0`;
  throw refuse(path, text, `Take an index below ${width}.`);
}

/** A half is stored as a single, and may be called so. */
function sameType(given: string, said: TensorType): boolean {
  return given === said || (given === 'float16' && said === 'float32');
}

function notATensor(path: string, output: SignatureTensor): TandemError {
  return refuse(
    path,
    `the model gives ${output.name} as a sequence of maps rather than a tensor (ZipMap, skl2onnx's default for classifiers)`,
    "Export it without: to_onnx(model, X, options={id(model): {'zipmap': False}}).",
  );
}

function fixedBatch(path: string, tensor: SignatureTensor, side: 'input' | 'output'): TandemError {
  return refuse(
    path,
    `the ${side} ${describeTensor(tensor)} is exported for ${tensor.shape[0]} user(s) at a time, but users are scored many at once`,
    `Export the model with a dynamic first dimension: dynamic_axes={'${tensor.name}': {0: 'N'}}.`,
  );
}

function namesOf(things: readonly { readonly name: string }[]): string {
  return things.length === 0 ? 'nothing' : things.map(({ name }) => name).join(', ');
}
