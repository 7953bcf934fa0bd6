/**
 * Single outputs in the binary layout of outputs.ts, read where they lie: a comparison of generations looks at millions,
 * and a prediction object for each took five times as long as all the rest. (The layout is little-endian.)
 */

import { FIXED_BYTES } from '@tandem/freshness/outputs';
import type { OutputField, TensorType } from '@tandem/freshness/predictor';

/** An offset into the bytes, of outputs that begin at `start`. */
export type PlaceOf = (bytes: Buffer, start: number) => number;

/** Where the field at `index` begins; `fields.length`: where the outputs end. */
export function placeOf(fields: readonly OutputField[], index: number): PlaceOf {
  const before = fields.slice(0, index);
  if (before.every(({ type }) => type !== 'string')) {
    const offset = before.reduce((sum, field) => sum + fixedSize(field), 0);
    return (_, start) => start + offset;
  }
  return (bytes, start) => before.reduce((at, field) => endOf(bytes, at, field), start);
}

function fixedSize({ type, width }: OutputField): number {
  return type === 'string' ? 0 : FIXED_BYTES[type] * (width ?? 1);
}

function endOf(bytes: Buffer, start: number, field: OutputField): number {
  if (field.type !== 'string') return start + fixedSize(field);
  let at = start;
  for (let i = 0; i < (field.width ?? 1); i++) at += 4 + bytes.readUInt32LE(at);
  return at;
}

/** Whether a field is one number a user (a boolean is 0 or 1). */
export function isNumber({ type, width }: OutputField): boolean {
  return type !== 'string' && width === null;
}

/** A value at an offset, as a number; of 64-bit integers beyond 2^53 the nearest. */
export function numberReader(type: TensorType): (bytes: Buffer, at: number) => number {
  switch (type) {
    case 'float16':
    case 'float32':
      return (bytes, at) => bytes.readFloatLE(at);
    case 'float64':
      return (bytes, at) => bytes.readDoubleLE(at);
    case 'int64':
      return (bytes, at) => Number(bytes.readBigInt64LE(at));
    case 'uint64':
      return (bytes, at) => Number(bytes.readBigUInt64LE(at));
    case 'int8':
    case 'int16':
    case 'int32':
      return (bytes, at) => bytes.readIntLE(at, FIXED_BYTES[type]);
    case 'uint8':
    case 'uint16':
    case 'uint32':
    case 'bool':
      return (bytes, at) => bytes.readUIntLE(at, FIXED_BYTES[type]);
    case 'string':
      throw new TypeError('a text is no number');
  }
}

/** A threshold as an output of that type can hold it: 0.7 is above every float32 that is written 0.7. */
export function asHeld(type: TensorType, threshold: number): number {
  return type === 'float32' || type === 'float16' ? Math.fround(threshold) : threshold;
}
