/**
 * Matches the inputs of a model to the columns of a table. Named inputs are matched by name. Matrices are matched by
 * their number of values, or by feature names if the model file has them. It is pure, and reports what it cannot
 * decide.
 */

import { bareName, featureName, findByName, suggestion } from '@tandem/commands/names';
import type { TensorType } from '@tandem/freshness/predictor';
import { valuesPerUser } from '@tandem/prediction/models/output-fit';
import { describeTensor } from '@tandem/prediction/models/verification';
import { type Choice, chooseNumbers, chooseTexts, type LeftOut } from './choose-columns.ts';
import { expressionFor } from './column-expression.ts';
import { kindOf, type TableColumn, type TableFacts } from './table-facts.ts';

export interface InputTensor {
  readonly name: string;
  readonly type: TensorType;
  readonly shape: readonly (number | string)[];
}

export interface MatchedFeature {
  readonly column: TableColumn;
  /** The name of the column in the query. */
  readonly name: string;
  readonly sql: string;
  readonly note?: string;
  readonly oneHot?: readonly string[];
  /** The tensor that the feature fills, and its element type. */
  readonly input: string;
  readonly type: TensorType;
}

export interface InputMatch {
  readonly features: readonly MatchedFeature[];
  /** The columns of each tensor; null if their names define them. */
  readonly inputs:
    | readonly { readonly name: string; readonly type: TensorType; readonly columns: readonly string[] }[]
    | null;
  readonly asOf: TableColumn | null;
  readonly leftOut: readonly LeftOut[];
  /** Remarks on the mapping. */
  readonly remarks: readonly string[];
  /** Decisions that the user must make before the config passes `check`. */
  readonly undecided: readonly string[];
  /** Text columns. If each of them became one number, the number of values would fit. */
  readonly asIndex: readonly TableColumn[];
}

/**
 * Matches the inputs of a model to columns.
 * @param featureNames the names of a single matrix in its order, if the model file has them
 */
export function matchInputs(
  tensors: readonly InputTensor[],
  table: TableFacts,
  featureNames: readonly string[] | null,
): InputMatch {
  const asOf = findAsOf(tensors, table.columns);
  const columns = table.columns.filter((column) => column !== asOf);
  const [only] = tensors;
  const isMatrix =
    tensors.length === 1 &&
    only !== undefined &&
    (valuesPerUser(only) !== 1 || isOneNamed(only, columns, featureNames));
  const matched = isMatrix ? matchMatrix(only, columns, table, featureNames) : matchNamed(tensors, columns, table);
  return { ...matched, asOf, remarks: [...matched.remarks, ...(asOf ? [] : withoutZone(tensors, table.columns))] };
}

type Matched = Omit<InputMatch, 'asOf'>;

const LOADED =
  /^(asof|last)?(updated|loaded|refreshed|modified|computed|synced|ingested|imported|asof)(at|on|time|ts|timestamp)?$/;

/** Returns the column with the load time of a row, which is never a feature. */
function findAsOf(tensors: readonly InputTensor[], columns: readonly TableColumn[]): TableColumn | null {
  return loadedAt(tensors, columns).find(({ type }) => /^timestamp.* with time zone$/.test(type)) ?? null;
}

/** Returns a remark on a timestamp without a time zone, which could be `asOf` if it had a time zone. */
function withoutZone(tensors: readonly InputTensor[], columns: readonly TableColumn[]): string[] {
  return loadedAt(tensors, columns)
    .filter(({ type }) => /^timestamp.* without time zone$/.test(type))
    .slice(0, 1)
    .map(
      ({ name, sql }) =>
        `${name} has no time zone: if it is the load time of the row, select (${sql} at time zone 'UTC') as ${sql} with the right zone, and set features.asOf to it`,
    );
}

function loadedAt(tensors: readonly InputTensor[], columns: readonly TableColumn[]): readonly TableColumn[] {
  const isNamed = (column: TableColumn) => tensors.some(({ name }) => bareName(name) === bareName(column.name));
  return columns.filter((column) => LOADED.test(bareName(column.name)) && !isNamed(column));
}

function matchMatrix(
  tensor: InputTensor,
  columns: readonly TableColumn[],
  table: TableFacts,
  featureNames: readonly string[] | null,
): Matched {
  const choice = choose(tensor, columns, table);
  const names = namesOfValues(tensor, featureNames);
  const named = names && byFeatureNames(tensor, columns, table, names, choice);
  if (named) return named;
  const undecided = choice.fits ? [] : [undecidedText(tensor, choice)];
  const remarks = choice.chosen.length > 1 ? [orderText(tensor, choice, featureNames)] : [];
  return {
    ...asMatched(tensor, choice, table),
    inputs: null,
    leftOut: choice.leftOut,
    remarks,
    undecided,
    asIndex: choice.asIndex,
  };
}

function orderText(tensor: InputTensor, { chosen }: Choice, names: readonly string[] | null): string {
  const texts = chosen.some(({ oneHot }) => oneHot) ? ', with texts after numbers as in pandas.get_dummies' : '';
  return `${unusedText(tensor, names)}. The features are in the order of the table${texts}: make sure that this is the order of the training`;
}

function choose(tensor: InputTensor, columns: readonly TableColumn[], { texts }: TableFacts): Choice {
  const width = valuesPerUser(tensor);
  return tensor.type === 'string' ? chooseTexts(columns, width) : chooseNumbers(columns, width, texts);
}

function asMatched(tensor: InputTensor, { chosen }: Pick<Choice, 'chosen'>, table: TableFacts) {
  return { features: chosen.map(({ column, oneHot }) => featureOf(tensor, column, column.name, table, oneHot)) };
}

function featureOf(
  tensor: InputTensor,
  column: TableColumn,
  wanted: string,
  { texts }: TableFacts,
  oneHot?: readonly string[],
): MatchedFeature {
  const expression = expressionFor(column, oneHot ? 'string' : tensor.type, texts.get(column.name));
  const name = featureName(wanted, column.name);
  return {
    column,
    name,
    input: tensor.name,
    type: tensor.type,
    ...(expression ?? { sql: column.sql }),
    ...(oneHot && { oneHot }),
  };
}

/** Returns the match by the names of the features; null if the names only say the position. */
function byFeatureNames(
  tensor: InputTensor,
  columns: readonly TableColumn[],
  table: TableFacts,
  names: readonly string[],
  choice: Choice,
): Matched | null {
  const found = columnsOf(names, columns);
  const absent = names.filter((_, i) => found[i] === undefined);
  const isChosen = absent.length > 0 && nameChoice(names, choice);
  if (!isChosen && absent.length === names.length && arePositions(names)) return null;
  const chosen = isChosen ? choice.chosen : found.flatMap((column) => (column ? [{ column }] : []));
  const rest = columns.filter((column) => !chosen.some((one) => one.column === column));
  const isDecided = isChosen || absent.length === 0;
  return {
    ...asMatched(tensor, { chosen }, table),
    inputs: null,
    leftOut: rest.map((column) => ({ column, why: 'no feature of the model has this name' })),
    remarks: isDecided ? ['the order is that of the feature names in the model file'] : [],
    undecided: isDecided ? [] : [absentText(names, absent, table)],
    asIndex: [],
  };
}

function undecidedText(tensor: InputTensor, { chosen, asIndex }: Choice): string {
  const asked = `the model takes ${valuesPerUser(tensor) ?? 'any number of'} values for each user (${describeTensor(tensor)})`;
  const listed = chosen.map(({ column }) => column.name).join(', ') || 'none';
  const index =
    asIndex.length === 0
      ? ''
      : `; the number of columns would fit if ${asIndex.map(({ name }) => name).join(', ')} were one number each`;
  return `${asked}, and ${chosen.length === 1 ? 'one column' : `${chosen.length} columns`} of the table could be meant: ${listed}${index}`;
}

function matchNamed(tensors: readonly InputTensor[], columns: readonly TableColumn[], table: TableFacts): Matched {
  const single = tensors.filter(
    (tensor) => valuesPerUser(tensor) === 1 || findByName(tensor.name, columns) !== undefined,
  );
  const features: MatchedFeature[] = [];
  const undecided: string[] = [];
  for (const tensor of single) {
    const column =
      findByName(tensor.name, columns) ?? (tensors.length === 1 ? onlyFit(tensor, columns, table) : undefined);
    const problem = column ? misfit(tensor, column, table) : missing(tensor, columns);
    if (column) features.push(featureOf(tensor, column, tensors.length === 1 ? column.name : tensor.name, table));
    if (problem !== null) undecided.push(problem);
  }
  const wide = tensors.filter((tensor) => !single.includes(tensor));
  const taken = new Set(features.map(({ column }) => column));
  const shared = matchWide(
    wide,
    columns.filter((column) => !taken.has(column)),
    table,
  );
  const all = [...features, ...shared.features];
  const isUsed = new Set(all.map(({ column }) => column));
  const isByName = wide.length === 0 && (tensors.length === 1 || all.every(({ name, input }) => name === input));
  return {
    features: all,
    inputs: isByName ? null : tensors.map((tensor) => inputOf(tensor, all)),
    leftOut: columns
      .filter((column) => !isUsed.has(column))
      .map((column) => ({
        column,
        why: wide.length === 0 ? 'no input of the model has this name' : 'it fits no input',
      })),
    remarks: shared.remarks,
    undecided: [...undecided, ...shared.undecided],
    asIndex: [],
  };
}

function onlyFit(tensor: InputTensor, columns: readonly TableColumn[], table: TableFacts): TableColumn | undefined {
  const { chosen, fits } = choose(tensor, columns, table);
  return fits ? chosen[0]?.column : undefined;
}

/**
 * Fills matrices beside named inputs. One matrix of numbers and one of texts can share the remaining columns; more
 * would be ambiguous.
 */
function matchWide(wide: readonly InputTensor[], columns: readonly TableColumn[], table: TableFacts) {
  const features: MatchedFeature[] = [];
  const undecided: string[] = [];
  for (const tensor of wide) {
    const alike = wide.filter((other) => (other.type === 'string') === (tensor.type === 'string'));
    const kinds = columns.filter(
      (column) => wide.length === 1 || (kindOf(column) === 'text') === (tensor.type === 'string'),
    );
    const choice = choose(tensor, kinds, table);
    if (alike.length === 1 && choice.fits) features.push(...asMatched(tensor, choice, table).features);
    else undecided.push(undecidedText(tensor, choice));
  }
  const remarks =
    features.length > 1
      ? [
          'the model does not name the features within each input. They are in the order of the table: make sure that this is the order of the training',
        ]
      : [];
  return { features, undecided, remarks };
}

function inputOf({ name, type }: InputTensor, features: readonly MatchedFeature[]) {
  return { name, type, columns: features.filter(({ input }) => input === name).map((feature) => feature.name) };
}

function missing(tensor: InputTensor, columns: readonly TableColumn[]): string {
  const meant = suggestion(
    tensor.name,
    columns.map(({ name }) => name),
  );
  return `no column fills the input ${describeTensor(tensor)} of the model (if requests send it, declare it in request); ${meant}`;
}

function misfit(tensor: InputTensor, column: TableColumn, { texts }: TableFacts): string | null {
  if (expressionFor(column, tensor.type, texts.get(column.name)) !== null) return null;
  return `column ${column.name} has type ${column.type}, but the input of the model is ${describeTensor(tensor)}: convert the column in the query as in the training`;
}

// Compares the feature names in a model file with the columns of a table.

const NAMES_SHOWN = 20;
/** Names that exporters generate: f0 (XGBoost), Column_0 (LightGBM), x0 (scikit-learn). They only say the position. */
const POSITION = /^(f|x|v|col|column|feature|input)?[ _]?\d+$/i;

/**
 * Returns the names if they name each value of the matrix; otherwise null. A list with only the name of the tensor
 * names no feature.
 */
function namesOfValues(tensor: InputTensor, names: readonly string[] | null): readonly string[] | null {
  if (names === null || (names.length === 1 && names[0] === tensor.name)) return null;
  const width = valuesPerUser(tensor);
  return width === null || width === names.length ? names : null;
}

/** Returns whether the names only say the position of each feature. */
function arePositions(names: readonly string[]): boolean {
  return names.every((name) => POSITION.test(name));
}

/** Returns whether the file names the only feature of the model, and the table has no column with the name of the input. */
function isOneNamed(tensor: InputTensor, columns: readonly TableColumn[], names: readonly string[] | null): boolean {
  const counting = namesOfValues(tensor, names);
  return counting?.length === 1 && !arePositions(counting) && findByName(tensor.name, columns) === undefined;
}

/** Returns why the names do not define the order of the features. */
function unusedText(tensor: InputTensor, names: readonly string[] | null): string {
  if (names === null || (names.length === 1 && names[0] === tensor.name)) return 'the model does not name its features';
  if (namesOfValues(tensor, names) !== null) return `the model names its features only by position (${listed(names)})`;
  return `the model takes ${valuesPerUser(tensor)} values for each user, but its file names ${names.length} features (${listed(names)})`;
}

/** Returns the column of each name. A name has none if no column has the name, or if a name before took the column. */
function columnsOf(names: readonly string[], columns: readonly TableColumn[]): readonly (TableColumn | undefined)[] {
  const taken = new Set<TableColumn>();
  return names.map((name) => {
    const column = findByName(name, columns);
    if (column === undefined || taken.has(column)) return undefined;
    taken.add(column);
    return column;
  });
}

/** Returns whether the names are those of the chosen columns, with `plan_free` for a value of a one-hot column. */
function nameChoice(names: readonly string[], { chosen, fits }: Choice): boolean {
  const filled = chosen.flatMap(({ column, oneHot }) => oneHot?.map((text) => `${column.name}_${text}`) ?? column.name);
  return (
    fits && filled.length === names.length && filled.every((name, i) => bareName(name) === bareName(names[i] ?? ''))
  );
}

/** Returns the decision that the user must make if the table lacks some of the named features. */
function absentText(names: readonly string[], absent: readonly string[], { sql }: TableFacts): string {
  const lack = absent.length === names.length ? 'such columns' : `column for ${listed(absent)}`;
  return `the model names its features ${listed(names)}, and the table ${sql} has no ${lack}: select the column of each feature, in the order of the names`;
}

function listed(names: readonly string[]): string {
  return `${names.slice(0, NAMES_SHOWN).join(', ')}${names.length > NAMES_SHOWN ? ', …' : ''}`;
}
