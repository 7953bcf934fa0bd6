/**
 * The binary layout of a prediction's outputs, the same in Postgres and Redis: the fields in order, little-endian in
 * their own types, text as an unsigned 32-bit byte length and UTF-8. A one-score model costs four bytes a user.
 */
import type { OutputField, Prediction, PredictionValue, TensorType } from './predictor.ts';

/** The values of one output tensor for a batch of users, row-major, `width` values a row. */
export interface OutputTensor {
  readonly data: ArrayLike<number> | ArrayLike<bigint> | readonly string[] | readonly boolean[];
  /** The number of values in each row of the tensor. */
  readonly width: number;
}

/** Output tensors by name. */
export type OutputTensors = Readonly<Record<string, OutputTensor>>;

/** Bytes of one value. The bytes of a text follow its length. */
export const FIXED_BYTES: Readonly<Record<Exclude<TensorType, 'string'>, number>> = {
  float16: 4,
  float32: 4,
  float64: 8,
  int8: 1,
  int16: 2,
  int32: 4,
  int64: 8,
  uint8: 1,
  uint16: 2,
  uint32: 4,
  uint64: 8,
  bool: 1,
};

/** Returns why the values of a row cannot be a prediction (not finite, or absent); null if they can. */
export function outputFault(fields: readonly OutputField[], tensors: OutputTensors, row: number): string | null {
  for (const field of fields) {
    const tensor = tensors[field.output];
    const last = field.index + (field.width ?? 1);
    if (!tensor || last > tensor.width) return `output ${field.output} has no column ${last - 1}`;
    for (let column = field.index; column < last; column++) {
      const value = tensor.data[row * tensor.width + column];
      if (value === undefined) return `output ${field.output} has no row for this user`;
      if (typeof value === 'number' && !Number.isFinite(value)) return `output ${field.name} is ${value}`;
    }
  }
  return null;
}

/** Returns the bytes of one user's outputs. `outputFault` must have returned null. */
export function encodeOutputs(fields: readonly OutputField[], tensors: OutputTensors, row: number): Buffer {
  const values = fields.map((field) => rowValues(field, tensors, row));
  const size = fields.reduce((sum, field, i) => sum + sizeOf(field.type, values[i] ?? []), 0);
  const bytes = Buffer.allocUnsafe(size);
  let offset = 0;
  fields.forEach((field, i) => {
    for (const value of values[i] ?? []) offset = writeValue(bytes, offset, field.type, value);
  });
  return bytes;
}

/** The encoded outputs of a batch. */
export interface EncodedBatch {
  /** Outputs of all rows, one after the other. */
  readonly bytes: Buffer;
  /** The offset of each row's outputs, and the end of the last row's outputs. */
  readonly offsets: Uint32Array;
  /** Row → why it has no outputs. Such a row has no bytes. */
  readonly faults: ReadonlyMap<number, string>;
}

/**
 * Encodes the outputs of all rows of a batch. Most models give only 32-bit floats; these are written straight into one
 * shared buffer. Separate buffers took 1.6 µs of CPU a user.
 */
export function encodeBatch(fields: readonly OutputField[], tensors: OutputTensors, rows: number): EncodedBatch {
  const columns = floatColumns(fields, tensors);
  const offsets = new Uint32Array(rows + 1);
  const faults = new Map<number, string>();
  if (!columns) {
    const parts = Array.from({ length: rows }, (_, row) => encodeRow(fields, tensors, row, faults));
    for (let row = 0; row < rows; row++) offsets[row + 1] = (offsets[row] as number) + (parts[row]?.length ?? 0);
    return { bytes: Buffer.concat(parts), offsets, faults };
  }
  const size = 4 * columns.length;
  const bytes = Buffer.allocUnsafeSlow(size * rows);
  let end = 0;
  for (let row = 0; row < rows; row++) {
    if (writeFloats(bytes, end, row, columns)) end += size;
    else faults.set(row, outputFault(fields, tensors, row) ?? '');
    offsets[row + 1] = end;
  }
  return { bytes, offsets, faults };
}

function encodeRow(
  fields: readonly OutputField[],
  tensors: OutputTensors,
  row: number,
  faults: Map<number, string>,
): Buffer {
  const fault = outputFault(fields, tensors, row);
  if (fault === null) return encodeOutputs(fields, tensors, row);
  faults.set(row, fault);
  return Buffer.alloc(0);
}

/** The position of one value in each row. */
interface FloatColumn {
  readonly data: Float32Array;
  readonly width: number;
  readonly column: number;
}

/** Returns the columns of a row in the order of their bytes; null if not all are 32-bit floats. */
function floatColumns(fields: readonly OutputField[], tensors: OutputTensors): FloatColumn[] | null {
  const columns: FloatColumn[] = [];
  for (const { output, type, index, width } of fields) {
    const tensor = tensors[output];
    const last = index + (width ?? 1);
    if (type !== 'float32' || !(tensor?.data instanceof Float32Array) || last > tensor.width) return null;
    for (let column = index; column < last; column++) columns.push({ data: tensor.data, width: tensor.width, column });
  }
  return columns;
}

/** Writes one row. Returns false if a value is absent or not finite; the caller then ignores the written bytes. */
function writeFloats(bytes: Buffer, start: number, row: number, columns: readonly FloatColumn[]): boolean {
  let at = start;
  for (const { data, width, column } of columns) {
    const value = data[row * width + column] ?? Number.NaN;
    if (!Number.isFinite(value)) return false;
    at = bytes.writeFloatLE(value, at);
  }
  return true;
}

/** Returns the prediction in the bytes. Throws RangeError if they do not match this layout. */
export function decodeOutputs(fields: readonly OutputField[], bytes: Buffer): Prediction {
  // An object without a prototype is a hash table, which takes far more memory. Only one field name needs it.
  const isPlain = fields.every(({ name }) => name !== '__proto__');
  const prediction: Record<string, PredictionValue> = isPlain ? {} : Object.create(null);
  const cursor = { offset: 0 };
  for (const field of fields) {
    prediction[field.name] =
      field.width === null
        ? readValue(bytes, cursor, field.type)
        : Array.from({ length: field.width }, () => readValue(bytes, cursor, field.type));
  }
  if (cursor.offset !== bytes.length)
    throw new RangeError(`a stored prediction has ${bytes.length - cursor.offset} bytes too many`);
  return prediction;
}

type Scalar = number | bigint | string | boolean;

function rowValues(field: OutputField, tensors: OutputTensors, row: number): Scalar[] {
  const tensor = tensors[field.output];
  if (!tensor) throw new RangeError(`no output ${field.output}`);
  const start = row * tensor.width + field.index;
  return Array.from({ length: field.width ?? 1 }, (_, i) => tensor.data[start + i] as Scalar);
}

function sizeOf(type: TensorType, values: readonly Scalar[]): number {
  if (type !== 'string') return FIXED_BYTES[type] * values.length;
  return values.reduce((sum: number, value) => sum + 4 + Buffer.byteLength(String(value)), 0);
}

function writeValue(bytes: Buffer, offset: number, type: TensorType, value: Scalar): number {
  switch (type) {
    case 'string': {
      const length = bytes.write(String(value), offset + 4);
      bytes.writeUInt32LE(length, offset);
      return offset + 4 + length;
    }
    case 'float16':
    case 'float32':
      return bytes.writeFloatLE(Number(value), offset);
    case 'float64':
      return bytes.writeDoubleLE(Number(value), offset);
    case 'int64':
      return bytes.writeBigInt64LE(BigInt(value), offset);
    case 'uint64':
      return bytes.writeBigUInt64LE(BigInt(value), offset);
    case 'int8':
    case 'int16':
    case 'int32':
      return bytes.writeIntLE(Number(value), offset, FIXED_BYTES[type]);
    case 'uint8':
    case 'uint16':
    case 'uint32':
    case 'bool':
      return bytes.writeUIntLE(Number(value), offset, FIXED_BYTES[type]);
  }
}

function readValue(bytes: Buffer, cursor: { offset: number }, type: TensorType): number | string | boolean {
  const at = cursor.offset;
  if (type === 'string') {
    const length = bytes.readUInt32LE(at);
    cursor.offset = at + 4 + length;
    if (cursor.offset > bytes.length) throw new RangeError('a stored text ends too early');
    return bytes.toString('utf8', at + 4, cursor.offset);
  }
  cursor.offset = at + FIXED_BYTES[type];
  return readFixed(bytes, at, type);
}

function readFixed(bytes: Buffer, at: number, type: Exclude<TensorType, 'string'>): number | string | boolean {
  switch (type) {
    case 'float16':
    case 'float32':
      return shortestFloat32(bytes.readFloatLE(at));
    case 'float64':
      return bytes.readDoubleLE(at);
    case 'int64':
      return jsonInteger(bytes.readBigInt64LE(at));
    case 'uint64':
      return jsonInteger(bytes.readBigUInt64LE(at));
    case 'int8':
    case 'int16':
    case 'int32':
      return bytes.readIntLE(at, FIXED_BYTES[type]);
    case 'uint8':
    case 'uint16':
    case 'uint32':
      return bytes.readUIntLE(at, FIXED_BYTES[type]);
    case 'bool':
      return bytes[at] === 1;
  }
}

/** Returns an integer as a number, or as text if a JSON number cannot represent it exactly. */
function jsonInteger(value: bigint): number | string {
  const number = Number(value);
  return Number.isSafeInteger(number) ? number : value.toString();
}

/** Returns the shortest decimal that is the same float32: 0.831 rather than 0.8309999704360962. */
function shortestFloat32(value: number): number {
  for (let digits = 6; digits < 9; digits++) {
    const short = Number(value.toPrecision(digits));
    if (Math.fround(short) === value) return short;
  }
  return value;
}
