/** Values of feature columns in Postgres' binary form, which is big-endian, and their text where a fault has to name it. */
import type { FeatureKind } from '@tandem/freshness/predictor';

/** How the values of a column travel and are read. */
export interface Form {
  /** The query gives them as text, since their own form would have to be written out by hand (numeric, float4). */
  readonly asText: boolean;
  /** The value as a number, or `NOT_NATIVE` where it is none that a feature may have as it is: then `text` tells. */
  read(bytes: Buffer, at: number, length: number): number;
  /** As Postgres writes it. */
  text(bytes: Buffer, at: number, length: number): string;
}

export const NOT_NATIVE = Number.NaN;

const DOUBLE_OID = 701;
const BOOLEAN_OID = 16;
const INTEGER_BYTES: Readonly<Record<number, 2 | 4 | 8>> = { 20: 8, 21: 2, 23: 4 };
/** name, text, char(n), varchar: their own form is their text. */
const TEXT_OIDS = new Set([19, 25, 1042, 1043]);

/** @param oid the column's type in the feature query */
export function formOf(kind: FeatureKind, oid: number): Form {
  if (kind === 'string' && TEXT_OIDS.has(oid)) return OWN_TEXT;
  if (kind === 'boolean' && oid === BOOLEAN_OID) return BOOLEAN;
  if (kind === 'number' && oid === DOUBLE_OID) return DOUBLE;
  const isNumeric = kind === 'number' || kind === 'integer';
  return (isNumeric && INTEGERS[INTEGER_BYTES[oid] ?? 0]) || CAST_TO_TEXT;
}

const utf8 = (bytes: Buffer, at: number, length: number) => bytes.toString('utf8', at, at + length);

const OWN_TEXT: Form = { asText: false, read: () => NOT_NATIVE, text: utf8 };
const CAST_TO_TEXT: Form = { asText: true, read: () => NOT_NATIVE, text: utf8 };

const DOUBLE: Form = {
  asText: false,
  read(bytes, at) {
    const value = readDouble(bytes, at);
    return Number.isFinite(value) ? value : NOT_NATIVE;
  },
  text: (bytes, at) => String(readDouble(bytes, at)),
};

const BOOLEAN: Form = {
  asText: false,
  read: (bytes, at) => (bytes[at] === 0 ? 0 : 1),
  text: (bytes, at) => (bytes[at] === 0 ? 'f' : 't'),
};

const INTEGERS: Readonly<Record<number, Form>> = { 2: integer(2), 4: integer(4), 8: integer(8) };

function integer(size: 2 | 4 | 8): Form {
  return {
    asText: false,
    read(bytes, at) {
      const value = Number(readInteger(bytes, at, size));
      return Number.isSafeInteger(value) ? value : NOT_NATIVE;
    },
    text: (bytes, at) => String(readInteger(bytes, at, size)),
  };
}

/** An int2, int4 or int8; a bigint where a double might not hold it exactly. */
export function readInteger(bytes: Buffer, at: number, size: 2 | 4 | 8): number | bigint {
  if (size === 2) return bytes.readInt16BE(at);
  const high = bytes.readInt32BE(at);
  if (size === 4) return high;
  // 2^20: above it a value is 2^52 or more.
  return high >= -0x10_0000 && high < 0x10_0000
    ? high * 0x1_0000_0000 + bytes.readUInt32BE(at + 4)
    : bytes.readBigInt64BE(at);
}

const double = new Float64Array(1);
const halves = new Uint32Array(double.buffer);
/** Where a double's higher half lies: behind the lower on a little-endian machine, such as all that Node runs on. */
const HIGH = new Uint8Array(Uint16Array.of(1).buffer)[0] === 1 ? 1 : 0;

/** Twice as fast as `readDoubleBE`, which goes byte by byte. */
export function readDouble(bytes: Buffer, at: number): number {
  halves[HIGH] =
    ((bytes[at] as number) << 24) |
    ((bytes[at + 1] as number) << 16) |
    ((bytes[at + 2] as number) << 8) |
    (bytes[at + 3] as number);
  halves[1 - HIGH] =
    ((bytes[at + 4] as number) << 24) |
    ((bytes[at + 5] as number) << 16) |
    ((bytes[at + 6] as number) << 8) |
    (bytes[at + 7] as number);
  return double[0] as number;
}
