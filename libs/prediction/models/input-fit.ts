/**
 * Whether feature columns fit an input tensor of a model: its shape, how many values they give, and of which kinds. The
 * one place that decides it, for a config before it is adopted and for a definition before it serves.
 */
import type { Categories, FeatureColumn, TensorType } from '@tandem/freshness/predictor';
import { holdsNumber, TENSOR_RANGES } from '@tandem/freshness/tensor-ranges';
import { type DescribedTensor, describeTensor, isFixed } from './verification.ts';

/** What does not fit, and what mends it. */
export interface Misfit {
  readonly problem: string;
  readonly remedy: string;
  /** The predictor's setting where it is mended, `['features', 'nulls', 'income']`; absent: the mapping itself. */
  readonly setting?: readonly string[];
}

/** The values of an input's row that a column fills: one, or one for each category of a one-hot column. */
export function columnWidth({ categories }: FeatureColumn): number {
  return categories?.encoding === 'one-hot' ? categories.values.length : 1;
}

function rowWidth(columns: readonly FeatureColumn[]): number {
  return columns.reduce((width, column) => width + columnWidth(column), 0);
}

/**
 * Everything that keeps the columns from filling the tensor, in order; empty where they fit. An open size fits: what it
 * is, a trial run must show.
 */
export function inputMisfits(tensor: DescribedTensor, columns: readonly FeatureColumn[], rowByRow: boolean): Misfit[] {
  const { type } = tensor;
  if (!isTensorType(type)) return [foreignInput(tensor)];
  if (tensor.shape.length > 2) return [deeperInput(tensor)];
  const width = rowWidth(columns);
  if (isWithoutUsers(tensor, width)) return [withoutUsers(tensor)];
  return [
    ...shapeMisfits(tensor, width, rowByRow),
    ...widthMisfits(tensor, columns, width),
    ...columns.flatMap((column) => columnMisfits(tensor, type, column)),
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
    problem: `the model takes ${describeTensor(tensor)}, and features are one row of values a user: [users, values]`,
    remedy: 'export the model for rows of features; what it knows of images, texts or series, give it as features',
  };
}

/** A single dimension of just as many values as a user has: it was exported for a user, not for users. */
function isWithoutUsers({ shape }: DescribedTensor, width: number): boolean {
  return shape.length === 1 && width > 1 && shape[0] === width;
}

function withoutUsers(tensor: DescribedTensor): Misfit {
  return {
    problem: `the model takes ${describeTensor(tensor)}, the values of one user without a dimension for users`,
    remedy: `export it with an example of two dimensions, [users, values], of which ${dynamicFirst(tensor)}`,
  };
}

/** A shape of no dimensions may also be one that the model does not declare: the trial run shows. */
function shapeMisfits(tensor: DescribedTensor, width: number, rowByRow: boolean): Misfit[] {
  const fixed = batchMisfits(tensor, rowByRow);
  if (tensor.shape.length !== 1 || width === 1) return fixed;
  const problem = `the model takes ${describeTensor(tensor)}, one value a user, and there are ${width}`;
  return [...fixed, { problem, remedy: 'fill it from one column, or export the model with inputs of rank 2' }];
}

/** A first dimension of a fixed size; of size 1 it can be served row by row. */
function batchMisfits(tensor: DescribedTensor, rowByRow: boolean): Misfit[] {
  const [users] = tensor.shape;
  if (!isFixed(users) || (users === 1 && rowByRow)) return [];
  const dynamic = `export the model so that ${dynamicFirst(tensor)}`;
  return [
    {
      problem: `the input ${describeTensor(tensor)} is exported for ${users} user${users === 1 ? '' : 's'} at a time, but users are scored many at once`,
      remedy: users === 1 ? `${dynamic}; or say rowByRow: true, which infers each user alone (slower)` : dynamic,
    },
  ];
}

function dynamicFirst({ name }: DescribedTensor): string {
  return `the first dimension is open: dynamic_axes={'${name}': {0: 'N'}} for torch.onnx.export, None in a TensorSpec for tf2onnx`;
}

function widthMisfits(tensor: DescribedTensor, columns: readonly FeatureColumn[], width: number): Misfit[] {
  const taken = tensor.shape[1];
  if (!isFixed(taken) || taken === width) return [];
  const wide = columns.filter((column) => columnWidth(column) > 1);
  const oneHot = wide.map((column) => `${column.name} as one-hot ${columnWidth(column)}`).join(', ');
  const given = `${columns.map(({ name }) => name).join(', ')}${oneHot === '' ? '' : `; ${oneHot}`}`;
  const give = columns.length === 1 ? '1 column gives it' : `${columns.length} columns give it`;
  const counted = width === columns.length ? give : `${give} ${width}`;
  return [
    {
      problem: `the model takes ${taken} values a user in ${describeTensor(tensor)}, and ${counted} (${given})`,
      remedy: "select exactly the model's features, in its order",
    },
  ];
}

function columnMisfits(tensor: DescribedTensor, type: TensorType, column: FeatureColumn): Misfit[] {
  const kind = kindMisfit(tensor, type, column);
  return kind ? [kind] : [...nullMisfits(tensor, type, column), ...categoryMisfits(tensor, type, column)];
}

/** What a column of each kind may fill, and how to turn it into what it may not. */
function kindMisfit(tensor: DescribedTensor, type: TensorType, column: FeatureColumn): Misfit | null {
  const { name, kind, categories } = column;
  const misfit = (remedy: string, setting?: readonly string[]): Misfit => ({
    problem: `column ${name} is of kind ${kind}${categories ? ' with categories, which make it a number' : ''}, and the model's input is ${describeTensor(tensor)}`,
    remedy,
    ...(setting ? { setting } : {}),
  });
  if (kind === 'string' && type !== 'string') {
    const turn = `say how it becomes a number, as the model was trained: features.categories: { ${keyText(name)}: [ …its texts in order ] }, or turn ${name} into a number in the query`;
    return categories ? null : misfit(turn);
  }
  if (kind === 'string') return categories ? misfit('remove it', ['features', 'categories', name]) : null;
  if (type === 'string') return misfit(`cast it: ${name}::text as ${name}`);
  if (kind === 'number' && !holdsNumber(type, 0.5)) {
    return misfit(
      type === 'bool' ? `turn it into a boolean: (${name} <> 0) as ${name}` : `cast it: ${name}::bigint as ${name}`,
    );
  }
  if (kind === 'integer' && type === 'bool') return misfit(`turn it into a boolean: (${name} <> 0) as ${name}`);
  return null;
}

function nullMisfits(tensor: DescribedTensor, type: TensorType, { name, kind, nullAs }: FeatureColumn): Misfit[] {
  if (nullAs === undefined || kind === 'string') return [];
  const value = nullAs === 'nan' ? Number.NaN : Number(nullAs);
  if (holdsNumber(type, value)) return [];
  return [unheld(tensor, shownNumber(nullAs), ['features', 'nulls', name])];
}

function categoryMisfits(tensor: DescribedTensor, type: TensorType, { name, categories }: FeatureColumn): Misfit[] {
  if (!categories) return [];
  const setting = ['features', 'categories', name];
  const largest = categories.encoding === 'index' ? categories.values.length - 1 : 1;
  const unknown = unknownNumber(categories);
  return [
    ...(holdsNumber(type, largest) ? [] : [unheld(tensor, `gives ${largest}`, setting)]),
    ...(unknown === undefined || holdsNumber(type, unknown)
      ? []
      : [unheld(tensor, `counts a text of no category as ${shownUnknown(unknown)}`, setting)]),
  ];
}

function unheld(tensor: DescribedTensor, what: string, setting: readonly string[]): Misfit {
  return {
    problem: `${what}, which the model's input ${describeTensor(tensor)} cannot hold`,
    remedy: what.includes('NaN')
      ? 'write a number; only inputs of floats take NaN'
      : 'write what the model was trained with, or export the model with an input of another type',
    setting,
  };
}

/** The number that stands for a text of no category; undefined where nothing is said. */
export function unknownNumber({ unknownAs }: Categories): number | undefined {
  if (unknownAs === undefined) return undefined;
  return unknownAs === 'zeros' ? 0 : unknownAs === 'nan' ? Number.NaN : unknownAs;
}

function shownNumber(nullAs: number | string): string {
  return `counts a null as ${nullAs === 'nan' ? 'NaN' : nullAs}`;
}

function shownUnknown(unknown: number): string {
  return Number.isNaN(unknown) ? 'NaN' : String(unknown);
}

/** Whether a model's element type, as a runtime names it, is one that Tandem fills and reads. */
export function isTensorType(type: string | null): type is TensorType {
  return type === 'string' || (type !== null && Object.hasOwn(TENSOR_RANGES, type));
}

// Texts and keys as a config file writes them, whatever characters are in them.

/** A string literal, in the quotes that need fewer escapes. */
export function quote(text: string): string {
  const json = JSON.stringify(text);
  const singles = text.split("'").length;
  const doubles = text.split('"').length;
  if (singles > doubles) return json;
  return `'${json.slice(1, -1).replaceAll('\\"', '"').replaceAll("'", "\\'")}'`;
}

/** A key of an object: `score`, `'dense:0'`. */
export function keyText(name: string): string {
  return /^[A-Za-z_$][\w$]*$/.test(name) ? name : quote(name);
}
