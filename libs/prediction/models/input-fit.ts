/**
 * Checks whether feature columns fit an input tensor of a model: its shape, its number of values, and its element type.
 * The same check serves a config before it is adopted and a definition before it serves.
 */
import type { Categories, FeatureColumn, TensorType } from '@tandem/freshness/predictor';
import { holdsNumber, TENSOR_RANGES } from '@tandem/freshness/tensor-ranges';
import { type DescribedTensor, describeTensor, isFixed } from './verification.ts';

/** A mismatch and its fix. */
export interface Misfit {
  readonly problem: string;
  readonly remedy: string;
  /** The path of the predictor's setting to fix: `['features', 'nulls', 'income']`; absent: the mapping itself. */
  readonly setting?: readonly string[];
}

/**
 * Returns the number of values that a column fills in an input's row: one, or one for each category of a one-hot
 * column.
 */
export function columnWidth({ categories }: FeatureColumn): number {
  return categories?.encoding === 'one-hot' ? categories.values.length : 1;
}

/**
 * Returns every reason why the columns cannot fill the tensor, in order; empty if they fit. A dynamic size fits; a
 * trial run must show its value.
 * @param request the columns that calls send. The remedy of a misfit changes the config for them, and the feature query
 * for other columns
 */
export function inputMisfits(
  tensor: DescribedTensor,
  columns: readonly FeatureColumn[],
  rowByRow: boolean,
  request: readonly FeatureColumn[] = [],
): Misfit[] {
  const { type } = tensor;
  if (!isTensorType(type)) return [foreignInput(tensor)];
  if (tensor.shape.length > 2) return [deeperInput(tensor)];
  const width = columns.reduce((sum, column) => sum + columnWidth(column), 0);
  if (isWithoutUsers(tensor, width)) return [withoutUsers(tensor)];
  return [
    ...shapeMisfits(tensor, width, rowByRow),
    ...widthMisfits(tensor, columns, width, request),
    ...columns.flatMap((column) =>
      columnMisfits(tensor, type, column, request.includes(column) ? requestPlace(column) : queryPlace(column)),
    ),
  ];
}

function foreignInput(tensor: DescribedTensor): Misfit {
  if (tensor.type === null) {
    return {
      problem: `the model takes ${tensor.name} as a sequence or a map rather than a tensor, which features cannot fill`,
      remedy: 'export the model with tensors for its inputs',
    };
  }
  return {
    problem: `the model takes ${describeTensor(tensor)}, of an element type that features cannot fill`,
    remedy: 'export the model with an input of floats, integers, booleans or texts',
  };
}

function deeperInput(tensor: DescribedTensor): Misfit {
  return {
    problem: `the model takes ${describeTensor(tensor)}, but features are one row of values a user: [users, values]`,
    remedy: 'export the model for rows of features; encode images, texts or series as features',
  };
}

/**
 * Returns whether a single dimension has exactly the values of one user: the model was exported for one user, without a
 * dimension for users.
 */
function isWithoutUsers({ shape }: DescribedTensor, width: number): boolean {
  return shape.length === 1 && width > 1 && shape[0] === width;
}

function withoutUsers(tensor: DescribedTensor): Misfit {
  return {
    problem: `the model takes ${describeTensor(tensor)}, the values of one user without a dimension for users`,
    remedy: `export it with an example of two dimensions, [users, values], of which ${dynamicFirst(tensor)}`,
  };
}

/**
 * Returns the misfits of the shape. If a shape has no dimensions, the model may not declare it; the trial run decides.
 */
function shapeMisfits(tensor: DescribedTensor, width: number, rowByRow: boolean): Misfit[] {
  const fixed = batchMisfits(tensor, rowByRow);
  if (tensor.shape.length !== 1 || width === 1) return fixed;
  const problem = `the model takes ${describeTensor(tensor)}, one value a user, but the config fills ${width}`;
  return [...fixed, { problem, remedy: 'fill it from one column, or export the model with inputs of rank 2' }];
}

/** Returns the misfit of a first dimension of fixed size. A size of 1 can be served row by row. */
function batchMisfits(tensor: DescribedTensor, rowByRow: boolean): Misfit[] {
  const [users] = tensor.shape;
  if (!isFixed(users) || (users === 1 && rowByRow)) return [];
  const dynamic = `export the model so that ${dynamicFirst(tensor)}`;
  return [
    {
      problem: `the input ${describeTensor(tensor)} is exported for ${users} user${users === 1 ? '' : 's'} at a time, but many users are scored at once`,
      remedy: users === 1 ? `${dynamic}; or set rowByRow: true, which infers each user alone (slower)` : dynamic,
    },
  ];
}

function dynamicFirst({ name }: DescribedTensor): string {
  return `the first dimension is dynamic: dynamic_axes={'${name}': {0: 'N'}} for torch.onnx.export, None in a TensorSpec for tf2onnx`;
}

function widthMisfits(
  tensor: DescribedTensor,
  columns: readonly FeatureColumn[],
  width: number,
  request: readonly FeatureColumn[],
): Misfit[] {
  const taken = tensor.shape[1];
  if (!isFixed(taken) || taken === width) return [];
  const wide = columns.filter((column) => columnWidth(column) > 1);
  const oneHot = wide.map((column) => `${column.name} as one-hot ${columnWidth(column)}`).join(', ');
  const given = `${columns.map(({ name }) => name).join(', ')}${oneHot === '' ? '' : `; ${oneHot}`}`;
  const give = columns.length === 1 ? '1 column gives it' : `${columns.length} columns give it`;
  const counted = width === columns.length ? give : `${give} ${width}`;
  return [
    {
      problem: `the model takes ${taken} values a user in ${describeTensor(tensor)}, but ${counted} (${given})`,
      remedy: `select ${request.length > 0 ? 'and declare ' : ''}exactly the model's features, in its order`,
    },
  ];
}

/** The place of a column's declaration, and the texts for its remedies. */
interface Place {
  /** The text that names the column and its kind. */
  readonly described: string;
  /** The path of the column's setting; absent: the mapping of the input. */
  readonly setting?: readonly string[];
  readonly categories: readonly string[];
  readonly nulls: readonly string[];
  readonly nullText: string;
  /** The remedies that convert the column to another kind. */
  readonly remedies: Readonly<Record<'number' | 'text' | 'whole' | 'boolean', string>>;
}

function queryPlace({ name, kind, nullAs = '' }: FeatureColumn): Place {
  const list = `features.categories: { ${keyText(name)}: [ …its texts in order ] }`;
  return {
    described: `column ${name} is of kind ${kind}`,
    categories: ['features', 'categories', name],
    nulls: ['features', 'nulls', name],
    nullText: `counts a null as ${nullAs === 'nan' ? 'NaN' : nullAs}`,
    remedies: {
      number: `declare how it becomes a number, as the model was trained: ${list}, or turn ${name} into a number in the query`,
      text: `cast it: ${name}::text as ${name}`,
      whole: `cast it: ${name}::bigint as ${name}`,
      boolean: `turn it into a boolean: (${name} <> 0) as ${name}`,
    },
  };
}

function requestPlace({ name, kind }: FeatureColumn): Place {
  return {
    described: `request feature ${name} is of type ${kind}`,
    setting: ['request', name],
    categories: ['request', name, 'categories'],
    nulls: ['request', name, 'default'],
    nullText: 'counts as NaN',
    remedies: {
      number: "add categories: [ …its texts in order ], as the model was trained, or write type: 'number'",
      text: "write type: 'string'",
      whole: "write type: 'integer'",
      boolean: "write type: 'boolean'",
    },
  };
}

function columnMisfits(tensor: DescribedTensor, type: TensorType, column: FeatureColumn, place: Place): Misfit[] {
  const kind = kindMisfit(tensor, type, column, place);
  return kind ? [kind] : [...nullMisfits(tensor, type, column, place), ...categoryMisfits(tensor, type, column, place)];
}

/** Returns the misfit of a column's kind with the element type, and the remedy. */
function kindMisfit(
  tensor: DescribedTensor,
  type: TensorType,
  { kind, categories }: FeatureColumn,
  { described, setting: whole, categories: list, remedies }: Place,
): Misfit | null {
  const misfit = (remedy: string, setting = whole): Misfit => ({
    problem: `${described}${categories ? ' with categories, which make it a number' : ''}, but the model's input is ${describeTensor(tensor)}`,
    remedy,
    ...(setting ? { setting } : {}),
  });
  if (kind === 'string' && type !== 'string') return categories ? null : misfit(remedies.number);
  if (kind === 'string') return categories ? misfit('remove it', list) : null;
  if (type === 'string') return misfit(remedies.text);
  if (kind === 'number' && !holdsNumber(type, 0.5)) return misfit(remedies[type === 'bool' ? 'boolean' : 'whole']);
  if (kind === 'integer' && type === 'bool') return misfit(remedies.boolean);
  return null;
}

function nullMisfits(
  tensor: DescribedTensor,
  type: TensorType,
  { kind, nullAs }: FeatureColumn,
  { nulls, nullText }: Place,
): Misfit[] {
  if (nullAs === undefined || kind === 'string') return [];
  const value = nullAs === 'nan' ? Number.NaN : Number(nullAs);
  return holdsNumber(type, value) ? [] : [unheld(tensor, nullText, nulls)];
}

function categoryMisfits(
  tensor: DescribedTensor,
  type: TensorType,
  { categories }: FeatureColumn,
  { categories: setting }: Place,
): Misfit[] {
  if (!categories) return [];
  const largest = categories.encoding === 'index' ? categories.values.length - 1 : 1;
  const unknown = unknownNumber(categories);
  return [
    ...(holdsNumber(type, largest) ? [] : [unheld(tensor, `gives ${largest}`, setting)]),
    ...(unknown === undefined || holdsNumber(type, unknown)
      ? []
      : [unheld(tensor, `counts a text of no category as ${unknown}`, setting)]),
  ];
}

function unheld(tensor: DescribedTensor, what: string, setting: readonly string[]): Misfit {
  return {
    problem: `${what}, which the model's input ${describeTensor(tensor)} cannot hold`,
    remedy: what.includes('NaN')
      ? 'write a number; only inputs of floats take NaN'
      : 'write the value that the training used, or export the model with an input of another type',
    setting,
  };
}

/** Returns the number for a text outside the categories; undefined if none is declared. */
export function unknownNumber({ unknownAs }: Categories): number | undefined {
  if (unknownAs === undefined) return undefined;
  return unknownAs === 'zeros' ? 0 : unknownAs === 'nan' ? Number.NaN : unknownAs;
}

/** Returns whether Tandem can fill and read a model's element type, as a runtime names it. */
export function isTensorType(type: string | null): type is TensorType {
  return type === 'string' || (type !== null && Object.hasOwn(TENSOR_RANGES, type));
}

// Texts and keys as a config file writes them, with any characters.

/** Returns a string literal, in the quotes that need fewer escapes. */
export function quote(text: string): string {
  const json = JSON.stringify(text);
  const singles = text.split("'").length;
  const doubles = text.split('"').length;
  if (singles > doubles) return json;
  return `'${json.slice(1, -1).replaceAll('\\"', '"').replaceAll("'", "\\'")}'`;
}

/** Renders a name as a key of an object literal, quoted if needed: `score`, `'dense:0'`. */
export function keyText(name: string): string {
  return /^[A-Za-z_$][\w$]*$/.test(name) ? name : quote(name);
}
