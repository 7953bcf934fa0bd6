/**
 * Reads the fields of a protobuf message one after the other from untrusted bytes. Every length is checked, and only
 * the field itself is allocated. (Encoding: protobuf.dev/programming-guides/encoding.)
 */

/** The error of bytes that are not a protobuf message, or end too early. */
export class NotProtobuf extends Error {}

/** Wire types, which are the encodings of fields. The others are eight bytes (1) and four bytes (5). */
export const VARINT = 0;
/** Bytes after their length. */
export const BYTES = 2;

/**
 * The largest field number. Readers in C++ keep 32 bits of a tag and drop the rest, so they would read a larger number
 * as another field. A file could then have other content for this reader than for ONNX Runtime.
 */
const MAX_NUMBER = 2 ** 29 - 1;

export interface Field {
  readonly number: number;
  /** The field's wire type. */
  readonly wire: number;
  /** The value of a varint, with the precision of a double. */
  readonly value: number;
  /** The offset of the field's content. */
  readonly start: number;
  readonly end: number;
}

/**
 * Returns the field that begins at `at`; the next begins at its end. Throws NotProtobuf.
 * @param end of the message
 */
export function readField(bytes: Buffer, at: number, end: number): Field {
  const tag = readVarint(bytes, at, end);
  const number = Math.floor(tag.value / 8);
  const wire = tag.value % 8;
  if (number === 0 || number > MAX_NUMBER) throw new NotProtobuf('it is not protobuf');
  if (wire === VARINT) {
    const { value, next } = readVarint(bytes, tag.next, end);
    return { number, wire, value, start: next, end: next };
  }
  const length = wire === BYTES ? readVarint(bytes, tag.next, end) : { value: FIXED_BYTES[wire], next: tag.next };
  if (length.value === undefined) throw new NotProtobuf('it is not protobuf');
  if (length.value > end - length.next) throw endsTooEarly();
  return { number, wire, value: 0, start: length.next, end: length.next + length.value };
}

const FIXED_BYTES: Readonly<Record<number, number>> = { 1: 8, 5: 4 };

/** Reads a varint: seven bits in each byte, lowest first. A negative number is 2^63 or more. Throws NotProtobuf. */
export function readVarint(bytes: Buffer, start: number, end: number): { value: number; next: number } {
  let value = 0;
  let unit = 1;
  for (let at = start; at < end && at < start + 10; at++, unit *= 128) {
    const byte = bytes[at] ?? 0;
    value += (byte & 0x7f) * unit;
    if (byte < 0x80) return { value, next: at + 1 };
  }
  throw endsTooEarly();
}

/** Returns the number of consecutive varints. */
export function countVarints(bytes: Buffer, start: number, end: number): number {
  let count = 0;
  for (let at = start; at < end; at++) if ((bytes[at] ?? 0) < 0x80) count++;
  return count;
}

function endsTooEarly(): NotProtobuf {
  return new NotProtobuf('it ends in the middle of a field (truncated, perhaps)');
}
