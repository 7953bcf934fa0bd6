/** Maps feature columns to the input tensors of a model, and reports what does not fit. */
import type { FeatureColumn, ModelInput, TensorType } from '@tandem/freshness/predictor';
import { inputFault } from '@tandem/freshness/request-features';
import { inputMisfits, isTensorType, keyText } from '@tandem/prediction/models/input-fit';
import { type DescribedTensor, describeTensor } from '@tandem/prediction/models/verification';
import { pathText } from '../predictor/check-form.ts';
import { nearestName, type SettingProblem, writeNearest } from '../predictor/config-problem.ts';
import { canNameFeature } from '../predictor/feature-name.ts';
import type { ResolvedInput, ResolvedPredictor } from '../predictor/resolve-predictor.ts';

/** Returns the mapping, which is valid only if nothing was added to `problems`. */
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
  /** The list to which problems are added. */
  readonly problems: SettingProblem[];
  at(...keys: string[]): string;
}

/**
 * Maps inputs without a declaration: a single input takes all columns, each of several inputs the column of its name.
 */
function mapUndeclared(mapping: Mapping): readonly ModelInput[] {
  const { features, signature, problems, at } = mapping;
  const [input, second] = signature.inputs;
  const path = at('features', 'sql');
  if (input && !second) return [fill(mapping, input, features, path)];
  const { matches, faults } = columnsByName(signature.inputs, features, mapping.predictor.request ?? []);
  problems.push(...faults.map(({ setting, ...fault }) => ({ path: at(...setting), ...fault })));
  return matches.map(({ tensor, column }) => fill(mapping, tensor, [column], path));
}

function mapDeclared(mapping: Mapping, declared: readonly ResolvedInput[]): readonly ModelInput[] {
  const { signature, problems, at } = mapping;
  for (const missing of signature.inputs.filter(({ name }) => !declared.some((input) => input.name === name))) {
    const problem = `the model's input ${describeTensor(missing)} has no columns`;
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
      const problem = `is '${input.type}', but the model's input is ${describeTensor(tensor)}`;
      problems.push({ path: at('inputs', input.name, 'type'), problem, remedy: `write '${tensor.type}'` });
    }
    const columns = declaredColumns(mapping, input);
    // The number and kinds of columns can be checked only if all columns are known.
    return columns.length < input.columns.length
      ? { name: input.name, type: input.type, columns: input.columns }
      : fill(mapping, tensor, columns, at('inputs', input.name, 'columns'));
  });
}

/**
 * Maps columns to an input.
 * @param path the setting that lists the columns
 */
function fill(
  { predictor, problems, at }: Mapping,
  tensor: DescribedTensor,
  columns: readonly FeatureColumn[],
  path: string,
): ModelInput {
  const { rowByRow, request } = predictor;
  for (const { setting, ...misfit } of inputMisfits(tensor, columns, rowByRow, request ?? [])) {
    problems.push({ path: setting ? at(...setting) : path, ...misfit });
  }
  const input: ModelInput = {
    name: tensor.name,
    // For another type, a problem was added above.
    type: tensor.type as TensorType,
    columns: columns.map(({ name }) => name),
    ...(tensor.shape.length === 1 ? { rank: 1 } : {}),
  };
  if (isTensorType(tensor.type)) {
    for (const { path, problem } of unheldDefaults(predictor, input)) {
      problems.push({ path: at(...path), problem, remedy: `choose a default that ${tensor.type} holds` });
    }
  }
  return input;
}

/**
 * Returns the defaults of request features that the model's input cannot represent. With such a default, a run would
 * fail for every user.
 */
function unheldDefaults({ request }: ResolvedPredictor, input: ModelInput) {
  return (request ?? []).flatMap((column) => {
    const value = column.default;
    if (!input.columns.includes(column.name) || typeof value !== 'number') return [];
    const problem = inputFault(input, value);
    return problem === null ? [] : [{ path: ['request', column.name, 'default'], problem }];
  });
}

function unknownInput({ signature, at }: Mapping, name: string): SettingProblem {
  const known = signature.inputs.map((tensor) => tensor.name);
  const problem = `the model has no input ${name}; it has ${signature.inputs.map(describeTensor).join('; ')}`;
  return { path: at('inputs', name), problem, remedy: writeNearest(name, known) ?? 'use one of these' };
}

/** Returns the columns that an input names, and adds a problem for each column that the query does not have. */
function declaredColumns(
  { features, predictor, problems, at }: Mapping,
  input: ResolvedInput,
): readonly FeatureColumn[] {
  const names = features.map(({ name }) => name);
  return input.columns.flatMap((wanted) => {
    const column = features.find(({ name }) => name === wanted);
    if (column) return [column];
    const [none, some] = predictor.request
      ? (['there is no column or request feature', 'there are'] as const)
      : (['the query has no feature column', 'it has'] as const);
    const problem = `${none} ${wanted}; ${some} ${names.join(', ')}`;
    const remedy = writeNearest(wanted, names) ?? 'use one of these';
    problems.push({ path: at('inputs', input.name, 'columns'), problem, remedy });
    return [];
  });
}

function unusedColumns({ features, predictor, at }: Mapping, inputs: readonly ModelInput[]): SettingProblem[] {
  // If nothing is mapped, the reason was already reported.
  if (inputs.length === 0) return [];
  const used = new Set(inputs.flatMap(({ columns }) => columns));
  return features
    .filter(({ name }) => !used.has(name))
    .map(({ name }) => ({
      ...(predictor.request?.some((column) => column.name === name)
        ? { path: at('request', name), problem: 'fills no input, so it would have no effect' }
        : { path: at('features', 'sql'), problem: `column ${name} fills no input, so it would have no effect` }),
      remedy: predictor.inputs
        ? `leave it out, or add it to an input's columns`
        : 'leave it out, or give it the name of its input',
    }));
}

/** The reason why an input matches no column, with the predictor's setting that fixes it. */
interface NamedFault {
  readonly setting: readonly string[];
  readonly problem: string;
  readonly remedy: string;
}

/**
 * Matches each input to the column of its name. Pipelines and Keras export models with several inputs, each named after
 * the column that it was trained on. SQL folds unquoted names, so the case of letters may differ.
 */
function columnsByName(
  inputs: readonly DescribedTensor[],
  features: readonly FeatureColumn[],
  request: readonly FeatureColumn[],
) {
  const matches = inputs.flatMap((tensor) => {
    const column = columnOf(tensor, inputs, features);
    return column ? [{ tensor, column }] : [];
  });
  if (matches.length === 0) return { matches, faults: [nothingSaid(inputs)] };
  const taken = new Set(matches.map(({ column }) => column));
  const free = features.filter((column) => !taken.has(column)).map(({ name }) => name);
  const missing = inputs.filter((tensor) => !matches.some((match) => match.tensor === tensor));
  return { matches, faults: missing.map((tensor) => missingColumn(tensor, free, request)) };
}

/**
 * Returns the column of exactly this name; else the only column with this name in another case, if no other input
 * shares the name.
 */
function columnOf(
  { name }: DescribedTensor,
  inputs: readonly DescribedTensor[],
  features: readonly FeatureColumn[],
): FeatureColumn | undefined {
  const exact = features.find((column) => column.name === name);
  if (exact) return exact;
  const folded = name.toLowerCase();
  const rivals = inputs.filter((other) => other.name.toLowerCase() === folded);
  const [only, second] = features.filter((column) => column.name.toLowerCase() === folded);
  return rivals.length === 1 && !second ? only : undefined;
}

function missingColumn(
  tensor: DescribedTensor,
  free: readonly string[],
  request: readonly FeatureColumn[],
): NamedFault {
  const { name } = tensor;
  // An input that no column can fill (a sequence, an image, a training switch) is reported as such.
  const [shape] = inputMisfits(tensor, [{ name, kind: tensor.type === 'string' ? 'string' : 'boolean' }], true);
  if (shape && (tensor.type === null || tensor.shape.length > 2)) return { setting: ['model'], ...shape };
  const meant = nearestName(name, free);
  const fill = `inputs: { ${keyText(name)}: { type: '${tensor.type}', columns: […] }, … } for all inputs`;
  if (meant && request.some((column) => column.name === meant)) {
    const problem = `the model's input ${describeTensor(tensor)} needs a request feature of the same name, but there is none (there is ${meant})`;
    return { setting: ['request', meant], problem, remedy: `name it ${keyText(name)}; or say what fills it: ${fill}` };
  }
  const rename = `${meant ? `name it with as: ${aliasSql(meant)}` : 'select a column'} as ${aliasSql(name)}, or declare it in request if each call sends it; or `;
  return {
    setting: ['features', 'sql'],
    problem: `the model's input ${describeTensor(tensor)} needs a column of the same name, but the query has none${meant ? ` (it has ${meant})` : ''}`,
    remedy: `${canNameFeature(name) ? rename : ''}say what fills it: ${fill}; or export the model without that input`,
  };
}

function nothingSaid(inputs: readonly DescribedTensor[]): NamedFault {
  const list = inputs.map(describeTensor).join('; ') || 'none';
  const lines = inputs.map(({ name, type }) => `${keyText(name)}: { type: '${type}', columns: […] }`).join(', ');
  return {
    setting: ['inputs'],
    problem: `the model has ${inputs.length} inputs (${list}), no feature column has the name of an input, and the config does not say what fills them`,
    remedy: `name the columns as the inputs, or add inputs: { ${lines || '<tensor>: { type, columns: […] }'} }`,
  };
}

/**
 * Returns a name as SQL spells it after `as`. Every plain word is allowed there; a name that SQL would fold is quoted.
 */
export function aliasSql(name: string): string {
  return /^[a-z_][a-z0-9_]*$/.test(name) ? name : `"${name.replaceAll('"', '""')}"`;
}

/** A model's signature, as read from the artifact. */
export interface ModelSignature {
  readonly inputs: readonly DescribedTensor[];
  readonly outputs: readonly DescribedTensor[];
}
