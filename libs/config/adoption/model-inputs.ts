/** Decides which feature columns fill which input tensor of a model, and refuses what does not fit. */

import type { FeatureColumn, ModelInput, TensorType } from '@tandem/freshness/predictor';
import { inputMisfits } from '@tandem/prediction/models/input-fit';
import { type DescribedTensor, describeTensor } from '@tandem/prediction/models/model-signature';
import { keyText } from '@tandem/prediction/models/source-text';
import { pathText } from '../predictor/check-form.ts';
import type { SettingProblem } from '../config-problem.ts';
import { columnsByName } from './inputs-by-name.ts';
import type { ModelSignature } from './model-signature.ts';
import { nearestName } from '../nearest-name.ts';
import type { ResolvedInput, ResolvedPredictor } from '../predictor/resolve-predictor.ts';

/** The mapping; it holds only if nothing was added to `problems`. */
export function mapInputs(
  predictor: ResolvedPredictor,
  features: readonly FeatureColumn[],
  signature: ModelSignature,
  problems: SettingProblem[],
): readonly ModelInput[] {
  const mapping: Mapping = {
    predictor,
    features,
    signature,
    problems,
    at: (...keys) => pathText(['predictors', predictor.name, ...keys]),
  };
  const inputs = predictor.inputs ? mapDeclared(mapping, predictor.inputs) : mapUndeclared(mapping);
  problems.push(...unusedColumns(mapping, inputs));
  return inputs;
}

interface Mapping {
  readonly predictor: ResolvedPredictor;
  readonly features: readonly FeatureColumn[];
  readonly signature: ModelSignature;
  /** Added to. */
  readonly problems: SettingProblem[];
  at(...keys: string[]): string;
}

/** A single input takes all columns; each of several the column of its name. */
function mapUndeclared(mapping: Mapping): readonly ModelInput[] {
  const { features, signature, problems, at } = mapping;
  const [input, second] = signature.inputs;
  const path = at('features', 'sql');
  if (input && !second) return [fill(mapping, input, features, path)];
  const { matches, faults } = columnsByName(signature.inputs, features);
  problems.push(...faults.map(({ setting, ...fault }) => ({ path: at(...setting), ...fault })));
  return matches.map(({ tensor, column }) => fill(mapping, tensor, [column], path));
}

function mapDeclared(mapping: Mapping, declared: readonly ResolvedInput[]): readonly ModelInput[] {
  const { signature, problems, at } = mapping;
  for (const missing of signature.inputs.filter(({ name }) => !declared.some((input) => input.name === name))) {
    const problem = `the model's input ${describeTensor(missing)} is filled by nothing`;
    const remedy = `add ${keyText(missing.name)}: { type: '${missing.type}', columns: […] }, or export the model without that input`;
    problems.push({ path: at('inputs'), problem, remedy });
  }
  return declared.map((input) => {
    const tensor = signature.inputs.find(({ name }) => name === input.name);
    if (!tensor) {
      problems.push(unknownInput(mapping, input.name));
      return { name: input.name, type: input.type, columns: input.columns };
    }
    if (tensor.type !== null && tensor.type !== input.type) {
      const problem = `is '${input.type}', and the model's input is ${describeTensor(tensor)}`;
      problems.push({ path: at('inputs', input.name, 'type'), problem, remedy: `write '${tensor.type}'` });
    }
    const columns = declaredColumns(mapping, input);
    // Columns that are not known cannot be said to be too few or of the wrong kind.
    return columns.length < input.columns.length
      ? { name: input.name, type: input.type, columns: input.columns }
      : fill(mapping, tensor, columns, at('inputs', input.name, 'columns'));
  });
}

/** @param path of the setting that says which columns these are */
function fill(
  { predictor, problems, at }: Mapping,
  tensor: DescribedTensor,
  columns: readonly FeatureColumn[],
  path: string,
): ModelInput {
  for (const { setting, ...misfit } of inputMisfits(tensor, columns, predictor.rowByRow)) {
    problems.push({ path: setting ? at(...setting) : path, ...misfit });
  }
  return {
    name: tensor.name,
    // Of another type nothing fits.
    type: tensor.type as TensorType,
    columns: columns.map(({ name }) => name),
    ...(tensor.shape.length === 1 ? { rank: 1 } : {}),
  };
}

function unknownInput({ signature, at }: Mapping, name: string): SettingProblem {
  const known = signature.inputs.map((tensor) => tensor.name);
  const meant = nearestName(name, known);
  const problem = `the model has no input ${name}; it has ${signature.inputs.map(describeTensor).join('; ')}`;
  return { path: at('inputs', name), problem, remedy: meant ? `did you mean ${meant}?` : 'name one of these' };
}

/** The columns that an input names; of those that the query does not have, a problem. */
function declaredColumns({ features, problems, at }: Mapping, input: ResolvedInput): readonly FeatureColumn[] {
  const names = features.map(({ name }) => name);
  return input.columns.flatMap((wanted) => {
    const column = features.find(({ name }) => name === wanted);
    if (column) return [column];
    const meant = nearestName(wanted, names);
    const problem = `the query has no feature column ${wanted}; it has ${names.join(', ')}`;
    const remedy = meant ? `did you mean ${meant}?` : 'name one of these';
    problems.push({ path: at('inputs', input.name, 'columns'), problem, remedy });
    return [];
  });
}

function unusedColumns({ features, predictor, at }: Mapping, inputs: readonly ModelInput[]): SettingProblem[] {
  // Where nothing is mapped the reason is told already.
  if (inputs.length === 0) return [];
  const used = new Set(inputs.flatMap(({ columns }) => columns));
  return features
    .filter(({ name }) => !used.has(name))
    .map(({ name }) => ({
      path: at('features', 'sql'),
      problem: `column ${name} fills no input, so it would have no effect`,
      remedy: predictor.inputs
        ? `leave it out, or add it to an input's columns`
        : 'leave it out, or name it as the input that it is for',
    }));
}
