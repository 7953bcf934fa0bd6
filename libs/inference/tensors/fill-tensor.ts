/**
 * Fills a tensor with the values of feature columns, row-major, in its element type. Rejects a number that would wrap,
 * round to infinity or lose digits as an integer; and a null or NaN without a declared value.
 */
import type { FeatureValues } from '@tandem/freshness/features';
import type { Categories, FeatureColumn, TensorType } from '@tandem/freshness/predictor';
import { holdsNumber, TENSOR_RANGES, type TensorRange } from '@tandem/freshness/tensor-ranges';
import { columnWidth, unknownNumber } from '@tandem/prediction/models/input-fit';
import type { TensorData } from '../process/protocol.ts';
import { toHalfBits } from './half-precision.ts';

/** A feature column with its values in a batch. */
export interface FilledColumn {
  readonly column: FeatureColumn;
  readonly values: FeatureValues;
}

/** Records a value that the tensor cannot represent. */
type Refuse = (column: FilledColumn, row: number) => void;

type BigInts = BigInt64Array | BigUint64Array;
type Numbers = Exclude<TensorData, BigInts | readonly string[]>;

/** The places of a column's values for these rows: every `width`th value from `offset` on. */
interface Places {
  readonly offset: number;
  readonly width: number;
  readonly rows: readonly number[];
}

/**
 * Fills a tensor.
 * @param width the values in a row, which is the sum over the columns
 */
export function fillTensor(
  type: TensorType,
  width: number,
  columns: readonly FilledColumn[],
  rows: readonly number[],
  refuse: Refuse,
): TensorData {
  if (type === 'string') return fillTexts(columns, rows, refuse);
  const out = allocate(type, width * rows.length);
  let offset = 0;
  for (const filled of columns) {
    const places = { offset, width, rows };
    if (filled.column.categories) fillCategories(out, filled, filled.column.categories, places, refuse);
    else fillColumn(out, type, filled, places, refuse);
    offset += columnWidth(filled.column);
  }
  return type === 'float16' ? Uint16Array.from(out as Float64Array, toHalfBits) : out;
}

/** Returns an array of zeros; for float16 an array of doubles, to be rounded later. */
export function allocate(type: Exclude<TensorType, 'string'>, size: number): Numbers | BigInts {
  switch (type) {
    case 'float32':
      return new Float32Array(size);
    // float16 values are rounded once, from doubles, which is the type of features.
    case 'float16':
    case 'float64':
      return new Float64Array(size);
    case 'int8':
      return new Int8Array(size);
    case 'int16':
      return new Int16Array(size);
    case 'int32':
      return new Int32Array(size);
    case 'int64':
      return new BigInt64Array(size);
    case 'uint8':
    case 'bool':
      return new Uint8Array(size);
    case 'uint16':
      return new Uint16Array(size);
    case 'uint32':
      return new Uint32Array(size);
    case 'uint64':
      return new BigUint64Array(size);
  }
}

function fillColumn(
  out: Numbers | BigInts,
  type: Exclude<TensorType, 'string'>,
  filled: FilledColumn,
  places: Places,
  refuse: Refuse,
): void {
  const missing = nullNumber(filled.column, type);
  const range = TENSOR_RANGES[type];
  if (type === 'float32') fillFloats(out as Float32Array, filled, missing, places, refuse);
  else if (isBigInts(out)) fillBigInts(out, range, filled, missing, places, refuse);
  else fillNumbers(out, range, filled, missing, places, refuse);
}

/** Returns the number for a null of the column; undefined if none is declared, or if the type cannot represent it. */
function nullNumber({ nullAs }: FeatureColumn, type: TensorType): number | undefined {
  if (nullAs === undefined) return undefined;
  const value = nullAs === 'nan' ? Number.NaN : Number(nullAs);
  return holdsNumber(type, value) ? value : undefined;
}

/**
 * Does the same as `fillNumbers` for the most frequent type. Code that V8 has seen with only one array type takes a
 * quarter of the time.
 */
function fillFloats(
  out: Float32Array,
  filled: FilledColumn,
  missing: number | undefined,
  { offset, width, rows }: Places,
  refuse: Refuse,
): void {
  const limit = TENSOR_RANGES.float32.high;
  const { values } = filled;
  for (let i = 0, at = offset; i < rows.length; i++, at += width) {
    const row = rows[i] ?? -1;
    const value = values[row];
    if (typeof value === 'number' && value > -limit && value < limit) out[at] = value;
    else if (value === null && missing !== undefined) out[at] = missing;
    else refuse(filled, row);
  }
}

function fillNumbers(
  out: Numbers,
  { low, high, whole }: TensorRange,
  filled: FilledColumn,
  missing: number | undefined,
  { offset, width, rows }: Places,
  refuse: Refuse,
): void {
  const { values } = filled;
  for (let i = 0, at = offset; i < rows.length; i++, at += width) {
    const row = rows[i] ?? -1;
    const value = values[row];
    // Comparisons with NaN are false.
    const fits = typeof value === 'number' && value > low && value < high && (!whole || Number.isInteger(value));
    if (fits) out[at] = value;
    else if (value === null && missing !== undefined) out[at] = missing;
    else refuse(filled, row);
  }
}

function fillBigInts(
  out: BigInts,
  { low, high }: TensorRange,
  filled: FilledColumn,
  missing: number | undefined,
  { offset, width, rows }: Places,
  refuse: Refuse,
): void {
  for (let i = 0, at = offset; i < rows.length; i++, at += width) {
    const row = rows[i] ?? -1;
    const value = filled.values[row];
    const fits = typeof value === 'number' && value > low && value < high && Number.isInteger(value);
    if (fits) out[at] = BigInt(value);
    else if (value === null && missing !== undefined) out[at] = BigInt(missing);
    else refuse(filled, row);
  }
}

/** Fills texts as their index, with one value in each row; or as one-hot, where the zeros are already set. */
function fillCategories(
  out: Numbers | BigInts,
  filled: FilledColumn,
  categories: Categories,
  { offset, width, rows }: Places,
  refuse: Refuse,
): void {
  const { values, encoding } = categories;
  const unknown = unknownNumber(categories);
  const { nullAs } = filled.column;
  const placeOf = placesOf(values, rows.length);
  const put = writerOf(out);
  for (let i = 0, at = offset; i < rows.length; i++, at += width) {
    const row = rows[i] ?? -1;
    const text = filled.values[row] ?? nullAs;
    const place = typeof text === 'string' ? placeOf(text) : undefined;
    if (place === undefined) refuse(filled, row);
    else if (place >= 0) put(encoding === 'index' ? at : at + place, encoding === 'index' ? place : 1);
    else if (unknown === undefined) refuse(filled, row);
    else if (encoding === 'index') put(at, unknown);
  }
}

function writerOf(out: Numbers | BigInts): (at: number, value: number) => void {
  if (!isBigInts(out)) {
    return (at, value) => {
      out[at] = value;
    };
  }
  return (at, value) => {
    out[at] = BigInt(value);
  };
}

function isBigInts(out: Numbers | BigInts): out is BigInts {
  return out instanceof BigInt64Array || out instanceof BigUint64Array;
}

function fillTexts(columns: readonly FilledColumn[], rows: readonly number[], refuse: Refuse): string[] {
  return rows.flatMap((row) =>
    columns.map((filled) => {
      const value = filled.values[row] ?? filled.column.nullAs;
      if (typeof value === 'string') return value;
      refuse(filled, row);
      return '';
    }),
  );
}

/** The number of rows from which building a table is faster than searching the values. */
const TABLE_FROM_ROWS = 16;

/** Returns a function for the index of a text in `values`, from 0; -1 if it is unknown. */
function placesOf(values: readonly string[], rows: number): (text: string) => number {
  if (rows < TABLE_FROM_ROWS) return (text) => values.indexOf(text);
  const places = new Map(values.map((value, place) => [value, place]));
  return (text) => places.get(text) ?? -1;
}
