/** Compares the feature names in a model file with the columns of a table. It is pure. */
import { valuesPerUser } from '@tandem/prediction/models/output-fit';
import { bareName, findByName } from '../command-line/names.ts';
import type { Choice } from './choose-columns.ts';
import type { InputTensor } from './match-inputs.ts';
import type { TableColumn, TableFacts } from './table-facts.ts';

const NAMES_SHOWN = 20;
/** Names that exporters generate: f0 (XGBoost), Column_0 (LightGBM), x0 (scikit-learn). They only say the position. */
const POSITION = /^(f|x|v|col|column|feature|input)?[ _]?\d+$/i;

/**
 * Returns the names if they name each value of the matrix; otherwise null. A list with only the name of the tensor
 * names no feature.
 */
export function namesOfValues(tensor: InputTensor, names: readonly string[] | null): readonly string[] | null {
  if (names === null || (names.length === 1 && names[0] === tensor.name)) return null;
  const width = valuesPerUser(tensor);
  return width === null || width === names.length ? names : null;
}

/** Returns whether the names only say the position of each feature. */
export function arePositions(names: readonly string[]): boolean {
  return names.every((name) => POSITION.test(name));
}

/** Returns whether the file names the only feature of the model, and the table has no column with the name of the input. */
export function isOneNamed(
  tensor: InputTensor,
  columns: readonly TableColumn[],
  names: readonly string[] | null,
): boolean {
  const counting = namesOfValues(tensor, names);
  return counting?.length === 1 && !arePositions(counting) && findByName(tensor.name, columns) === undefined;
}

/** Returns why the names do not define the order of the features. */
export function unusedText(tensor: InputTensor, names: readonly string[] | null): string {
  if (names === null || (names.length === 1 && names[0] === tensor.name)) return 'the model does not name its features';
  if (namesOfValues(tensor, names) !== null) return `the model names its features only by position (${listed(names)})`;
  return `the model takes ${valuesPerUser(tensor)} values for each user, but its file names ${names.length} features (${listed(names)})`;
}

/** Returns the column of each name. A name has none if no column has the name, or if a name before took the column. */
export function columnsOf(
  names: readonly string[],
  columns: readonly TableColumn[],
): readonly (TableColumn | undefined)[] {
  const taken = new Set<TableColumn>();
  return names.map((name) => {
    const column = findByName(name, columns);
    if (column === undefined || taken.has(column)) return undefined;
    taken.add(column);
    return column;
  });
}

/** Returns whether the names are those of the chosen columns, with `plan_free` for a value of a one-hot column. */
export function nameChoice(names: readonly string[], { chosen, fits }: Choice): boolean {
  const filled = chosen.flatMap(({ column, oneHot }) => oneHot?.map((text) => `${column.name}_${text}`) ?? column.name);
  return (
    fits && filled.length === names.length && filled.every((name, i) => bareName(name) === bareName(names[i] ?? ''))
  );
}

/** Returns the decision that the user must make if the table lacks some of the named features. */
export function absentText(names: readonly string[], absent: readonly string[], { sql }: TableFacts): string {
  const lack = absent.length === names.length ? 'such columns' : `column for ${listed(absent)}`;
  return `the model names its features ${listed(names)}, and the table ${sql} has no ${lack}: select the column of each feature, in the order of the names`;
}

function listed(names: readonly string[]): string {
  return `${names.slice(0, NAMES_SHOWN).join(', ')}${names.length > NAMES_SHOWN ? ', …' : ''}`;
}
