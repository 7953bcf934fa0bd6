/**
 * Checks that a constant of a model has as many values as its dimensions. ONNX Runtime allocates memory by the
 * dimensions, so a few bytes could request terabytes. (Field numbers from onnx.proto3, TensorProto and
 * SparseTensorProto.)
 */
import { BYTES, countVarints, type Field, readField, readVarint, VARINT } from './protobuf.ts';

/** Bits of an element, by TensorProto.DataType. Texts have no fixed size. */
const BITS: Readonly<Record<number, number>> = {
  1: 32,
  2: 8,
  3: 8,
  4: 16,
  5: 16,
  6: 32,
  7: 64,
  9: 8,
  10: 16,
  11: 64,
  12: 32,
  13: 64,
  14: 64,
  15: 128,
  16: 16,
  17: 8,
  18: 8,
  19: 8,
  20: 8,
  21: 4,
  22: 4,
  23: 4,
  24: 8,
};
const STRING = 8;
/** The smallest size of an element, for types that are newer than this table. */
const LEAST_BITS = 1;

const DIMS = 1;
const DATA_TYPE = 2;
const NAME = 8;
const RAW_DATA = 9;
/** Fields with values of a fixed size: float_data, double_data. */
const FIXED_DATA: Readonly<Record<number, number>> = { 4: 4, 10: 8 };
/** Fields with varints: int32_data, int64_data, uint64_data. */
const VARINT_DATA = new Set([5, 7, 11]);
const STRING_DATA = 6;
const SPARSE_DIMS = 3;
/** The most values of a sparse constant, which is filled with zeros when it is loaded. */
const MAX_SPARSE_VALUES = 1 << 25;

/**
 * Returns why the tensor between `start` and `end` contradicts its dimensions; null if it does not. Throws NotProtobuf.
 */
export function tensorFault(bytes: Buffer, start: number, end: number): string | null {
  let values = 1;
  let type = 0;
  let raw = 0;
  let listed = 0;
  let name = '';
  for (let at = start; at < end; ) {
    const field = readField(bytes, at, end);
    at = field.end;
    if (field.number === DIMS) values *= productOf(bytes, field);
    else if (field.number === DATA_TYPE && field.wire === VARINT) type = field.value % 2 ** 32;
    else if (field.number === NAME) name = bytes.toString('utf8', field.start, Math.min(field.end, field.start + 64));
    else if (field.number === RAW_DATA) raw = field.end - field.start;
    else listed += countListed(bytes, field);
  }
  const bits = BITS[type] ?? LEAST_BITS;
  // Elements smaller than a byte are packed, both in raw bytes and in lists of numbers.
  const held = type === STRING ? listed : Math.max(Math.floor((raw * 8) / bits), listed * Math.max(1, 8 / bits));
  if (values <= held) return null;
  return `its constant ${JSON.stringify(name)} declares ${values} values, but has ${held}`;
}

/** Returns the fault of a sparse tensor, whose values are a nested tensor. */
export function sparseFault(bytes: Buffer, start: number, end: number): string | null {
  let values = 1;
  for (let at = start; at < end; ) {
    const field = readField(bytes, at, end);
    at = field.end;
    if (field.number === SPARSE_DIMS) values *= productOf(bytes, field);
  }
  if (values <= MAX_SPARSE_VALUES) return null;
  return `a sparse constant has ${values} values; at most ${MAX_SPARSE_VALUES} are allowed`;
}

/** Returns the product of a dimension, or of several packed into a field; 1 for a field with another encoding. */
function productOf(bytes: Buffer, field: Field): number {
  if (field.wire === VARINT) return field.value;
  if (field.wire !== BYTES) return 1;
  let product = 1;
  for (let at = field.start; at < field.end; ) {
    const { value, next } = readVarint(bytes, at, field.end);
    product *= value;
    at = next;
  }
  return product;
}

function countListed(bytes: Buffer, field: Field): number {
  if (field.number === STRING_DATA) return 1;
  if (VARINT_DATA.has(field.number)) {
    return field.wire === BYTES ? countVarints(bytes, field.start, field.end) : 1;
  }
  const size = FIXED_DATA[field.number];
  return size === undefined ? 0 : Math.floor((field.end - field.start) / size);
}
