/** Decides which feature columns fill which input tensor of a model, and refuses what does not fit. */
import { describeTensor, isFixed } from '@tandem/prediction/model-signature';
import type { FeatureColumn, ModelInput } from '@tandem/prediction/predictor';
import { pathText } from './check-form.ts';
import type { SettingProblem } from './config-problem.ts';
import { type ModelSignature, type TensorSignature, valuesPerUser } from './model-signature.ts';
import { nearestName } from './nearest-name.ts';
import type { ResolvedInput, ResolvedPredictor } from './resolve-predictor.ts';

/** The mapping; it holds only if nothing was added to `problems`. */
export function mapInputs(
  predictor: ResolvedPredictor,
  features: readonly FeatureColumn[],
  signature: ModelSignature,
  problems: SettingProblem[],
): readonly ModelInput[] {
  const at = (...keys: string[]) => pathText(['predictors', predictor.name, ...keys]);
  if (predictor.inputs) return mapDeclared(predictor.inputs, features, signature, problems, at);
  const [input, second] = signature.inputs;
  if (!input || second) {
    const list = signature.inputs.map(describeTensor).join('; ') || 'none';
    const problem = `the model has ${signature.inputs.length} inputs (${list}), and the config does not say what fills them`;
    problems.push({ path: at('inputs'), problem, remedy: 'add inputs: { <tensor>: { type, columns: […] } }' });
    return [];
  }
  problems.push(...fitProblems(input, features, at('features', 'sql')));
  return [{ name: input.name, type: input.type, columns: features.map(({ name }) => name) }];
}

type At = (...keys: string[]) => string;

function mapDeclared(
  declared: readonly ResolvedInput[],
  features: readonly FeatureColumn[],
  signature: ModelSignature,
  problems: SettingProblem[],
  at: At,
): readonly ModelInput[] {
  for (const missing of signature.inputs.filter(({ name }) => !declared.some((input) => input.name === name))) {
    const problem = `the model's input ${describeTensor(missing)} is filled by nothing`;
    problems.push({
      path: at('inputs'),
      problem,
      remedy: `add ${missing.name}: { type: '${missing.type}', columns: […] }`,
    });
  }
  for (const input of declared) problems.push(...declaredProblems(input, features, signature, at));
  const used = new Set(declared.flatMap(({ columns }) => columns));
  for (const { name } of features.filter((feature) => !used.has(feature.name))) {
    const problem = `column ${name} fills no input, so it would have no effect`;
    problems.push({ path: at('features', 'sql'), problem, remedy: `leave it out, or add it to an input's columns` });
  }
  return declared.map(({ name, type, columns }) => ({ name, type, columns }));
}

function declaredProblems(
  input: ResolvedInput,
  features: readonly FeatureColumn[],
  signature: ModelSignature,
  at: At,
): SettingProblem[] {
  const tensor = signature.inputs.find(({ name }) => name === input.name);
  if (!tensor) {
    const known = signature.inputs.map(({ name }) => name);
    const meant = nearestName(input.name, known);
    const problem = `the model has no input ${input.name}; it has ${signature.inputs.map(describeTensor).join('; ')}`;
    return [
      { path: at('inputs', input.name), problem, remedy: meant ? `did you mean ${meant}?` : 'name one of these' },
    ];
  }
  const unknown = input.columns.filter((column) => !features.some(({ name }) => name === column));
  if (unknown.length > 0) {
    const names = features.map(({ name }) => name);
    return unknown.map((column) => {
      const meant = nearestName(column, names);
      const problem = `the query has no feature column ${column}; it has ${names.join(', ')}`;
      return {
        path: at('inputs', input.name, 'columns'),
        problem,
        remedy: meant ? `did you mean ${meant}?` : 'name one of these',
      };
    });
  }
  const columns = input.columns.flatMap((column) => features.filter(({ name }) => name === column));
  const problems = fitProblems(tensor, columns, at('inputs', input.name, 'columns'));
  if (tensor.type === input.type) return problems;
  const problem = `is '${input.type}', and the model's input is ${describeTensor(tensor)}`;
  return [{ path: at('inputs', input.name, 'type'), problem, remedy: `write '${tensor.type}'` }, ...problems];
}

/** Whether columns fit a tensor: its shape, their number and their kinds. */
function fitProblems(tensor: TensorSignature, columns: readonly FeatureColumn[], path: string): SettingProblem[] {
  const problems = shapeProblems(tensor, path);
  const width = valuesPerUser(tensor);
  if (problems.length === 0 && width !== null && width !== columns.length) {
    problems.push({
      path,
      problem: `the model's input ${describeTensor(tensor)} takes ${width} features, and there are ${columns.length} feature columns: ${columns.map(({ name }) => name).join(', ')}`,
      remedy: "select exactly the model's features, in its order",
    });
  }
  for (const { name, kind } of columns) {
    if ((kind === 'string') === (tensor.type === 'string')) continue;
    const remedy =
      kind === 'string'
        ? `turn ${name} into a number in the query, as the model was trained`
        : `cast it: ${name}::text as ${name}`;
    problems.push({
      path,
      problem: `column ${name} is a ${kind}, and the model's input is ${describeTensor(tensor)}`,
      remedy,
    });
  }
  return problems;
}

function shapeProblems(tensor: TensorSignature, path: string): SettingProblem[] {
  if (tensor.shape.length !== 2) {
    const problem = `the model's input ${describeTensor(tensor)} is not of the form [users, features]`;
    return [{ path, problem, remedy: 'export the model with inputs of two dimensions' }];
  }
  if (isFixed(tensor.shape[0])) {
    const problem = `the model's input ${describeTensor(tensor)} takes exactly ${tensor.shape[0]} users at a time`;
    return [{ path, problem, remedy: 'export the model with a dynamic first dimension (batch axis)' }];
  }
  return [];
}
