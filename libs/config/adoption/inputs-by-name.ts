/**
 * Models of many inputs, as pipelines and Keras export them, name each after the column it was trained on: there every
 * input takes the column of its own name. SQL folds names that are not quoted, so the case of letters may differ.
 */

import type { FeatureColumn } from '@tandem/freshness/predictor';
import { inputMisfits } from '@tandem/prediction/models/input-fit';
import { type DescribedTensor, describeTensor } from '@tandem/prediction/models/model-signature';
import { keyText } from '@tandem/prediction/models/source-text';
import { aliasSql, canNameFeature } from '../column-name.ts';
import { nearestName } from '../nearest-name.ts';

export interface NamedMatch {
  readonly tensor: DescribedTensor;
  readonly column: FeatureColumn;
}

/** Why an input takes no column, with the predictor's setting where that is mended. */
export interface NamedFault {
  readonly setting: readonly string[];
  readonly problem: string;
  readonly remedy: string;
}

export interface NamedColumns {
  readonly matches: readonly NamedMatch[];
  readonly faults: readonly NamedFault[];
}

export function columnsByName(inputs: readonly DescribedTensor[], features: readonly FeatureColumn[]): NamedColumns {
  const matches = inputs.flatMap((tensor) => {
    const column = columnOf(tensor, inputs, features);
    return column ? [{ tensor, column }] : [];
  });
  if (matches.length === 0) return { matches, faults: [nothingSaid(inputs)] };
  const taken = new Set(matches.map(({ column }) => column));
  const free = features.filter((column) => !taken.has(column)).map(({ name }) => name);
  const missing = inputs.filter((tensor) => !matches.some((match) => match.tensor === tensor));
  return { matches, faults: missing.map((tensor) => missingColumn(tensor, free)) };
}

/** The column of exactly this name, else the only one that differs in case alone and is not another input's own. */
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

function missingColumn(tensor: DescribedTensor, free: readonly string[]): NamedFault {
  const { name } = tensor;
  // What no column could ever fill (a sequence, an image, a switch of the training) is told for what it is.
  const [shape] = inputMisfits(tensor, [{ name, kind: tensor.type === 'string' ? 'string' : 'boolean' }], true);
  if (shape && (tensor.type === null || tensor.shape.length > 2)) return { setting: ['model'], ...shape };
  const meant = nearestName(name, free);
  const fill = `inputs: { ${keyText(name)}: { type: '${tensor.type}', columns: […] }, … } for all inputs`;
  const rename = `${meant ? `name it with as: ${aliasSql(meant)}` : 'select a column'} as ${aliasSql(name)}; or `;
  return {
    setting: ['features', 'sql'],
    problem: `the model's input ${describeTensor(tensor)} takes the column of its name, and the query has none${meant ? ` (it has ${meant})` : ''}`,
    remedy: `${canNameFeature(name) ? rename : ''}say what fills it: ${fill}; or export the model without that input`,
  };
}

function nothingSaid(inputs: readonly DescribedTensor[]): NamedFault {
  const list = inputs.map(describeTensor).join('; ') || 'none';
  const lines = inputs.map(({ name, type }) => `${keyText(name)}: { type: '${type}', columns: […] }`).join(', ');
  return {
    setting: ['inputs'],
    problem: `the model has ${inputs.length} inputs (${list}), no feature column has the name of one, and the config does not say what fills them`,
    remedy: `name the columns as the inputs, or add inputs: { ${lines || '<tensor>: { type, columns: […] }'} }`,
  };
}
