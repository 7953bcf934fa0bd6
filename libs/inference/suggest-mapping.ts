/**
 * The mapping of a config that says only what its predictions are called: which columns fill which inputs, and which
 * outputs the fields are taken from, where a model leaves no doubt about it.
 */
import type { TandemError } from '@tandem/prediction/errors';
import type { FeatureColumn, ModelInput, OutputField, TensorType } from '@tandem/prediction/predictor';
import type { Signature, SignatureTensor } from './protocol.ts';
import { checkNotEmpty, describeTensor, refuse } from './signature.ts';

export interface MappingQuestion {
  readonly predictor: string;
  readonly signature: Signature;
  readonly columns: readonly FeatureColumn[];
  /** Field of a prediction → its type, as in `outputs: { score: 'float32' }`. */
  readonly outputs: Readonly<Record<string, TensorType>>;
}

export interface Mapping {
  readonly inputs: readonly ModelInput[];
  readonly outputs: readonly OutputField[];
}

/** Throws `model_refused` where it is not plain what belongs to what. */
export function suggestMapping(question: MappingQuestion): Mapping {
  checkNotEmpty(question.predictor, question.signature);
  return { inputs: suggestInputs(question), outputs: suggestOutputs(question) };
}

/** One matrix of all columns, or inputs called like the columns. */
function suggestInputs({ predictor, signature, columns }: MappingQuestion): ModelInput[] {
  const path = `predictors.${predictor}.features`;
  const [only, ...others] = signature.inputs;
  const names = columns.map(({ name }) => name);
  const isOwnColumn = only !== undefined && names.length > 1 && names.includes(only.name);
  if (only && others.length === 0 && !isOwnColumn) {
    const width = only.shape[1];
    if (typeof width === 'number' && width !== names.length) {
      throw refuse(
        path,
        `the model takes ${describeTensor(only)}, ${width} values a user, but the feature query has ${names.length} columns (${names.join(', ')})`,
        'Make the columns those that the model was trained on, in its order.',
      );
    }
    return [{ name: only.name, type: typeOf(only, path), columns: names }];
  }
  for (const input of signature.inputs) {
    if (!names.includes(input.name)) throw unknownInput(path, input, names);
  }
  const unused = names.filter((name) => !signature.inputs.some((input) => input.name === name));
  if (unused.length > 0) {
    const text = `the model has an input for each feature, but none for the columns ${unused.join(', ')}`;
    throw refuse(path, text, 'Leave these columns out of the feature query.');
  }
  return signature.inputs.map((input) => ({ name: input.name, type: typeOf(input, path), columns: [input.name] }));
}

/** The output of the field's name, or the only one of floating numbers. */
function suggestOutputs({ predictor, signature, outputs }: MappingQuestion): OutputField[] {
  return Object.entries(outputs).map(([name, type]) => {
    const path = `predictors.${predictor}.outputs.${name}`;
    const floats = signature.outputs.filter((output) => output.type?.startsWith('float'));
    const only = floats.length === 1 && Object.keys(outputs).length === 1 ? floats[0] : undefined;
    const output = signature.outputs.find((each) => each.name === name) ?? only;
    if (!output) {
      const given = signature.outputs.map(describeTensor).join(', ');
      const text = `the model has no output ${name}, and it is not plain which of its outputs is meant: ${given || 'none'}`;
      throw refuse(path, text, `Name the output that ${name} is taken from there.`);
    }
    const width = output.shape[1];
    if (typeof width === 'number' && width > 1) {
      const text = `the model gives ${width} values a user in ${describeTensor(output)}, but ${name} is one`;
      throw refuse(
        path,
        text,
        `Say there which of them it is (output ${output.name}, index 0 to ${width - 1}), or a width.`,
      );
    }
    return { name, output: output.name, type, width: null, index: 0 };
  });
}

function typeOf(input: SignatureTensor, path: string): TensorType {
  if (TENSOR_TYPES.has(input.type ?? '')) return input.type as TensorType;
  throw refuse(
    path,
    `the model takes ${describeTensor(input)}, which features cannot fill`,
    'Export it with inputs of a plain type.',
  );
}

const TENSOR_TYPES: ReadonlySet<string> = new Set<TensorType>([
  ...(['float16', 'float32', 'float64', 'int8', 'int16', 'int32', 'int64'] as const),
  ...(['uint8', 'uint16', 'uint32', 'uint64', 'bool', 'string'] as const),
]);

function unknownInput(path: string, input: SignatureTensor, names: readonly string[]): TandemError {
  return refuse(
    path,
    `the model takes an input ${describeTensor(input)}, but the feature query has no column of that name (it has ${names.join(', ')})`,
    `Give the feature query a column ${input.name}, or export the model without that input.`,
  );
}
