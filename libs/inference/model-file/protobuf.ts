/**
 * Reads the fields of a protobuf message one after the other from untrusted bytes: every length is checked, and nothing
 * is allocated but the field itself. (Its encoding: protobuf.dev/programming-guides/encoding.)
 */

/** The bytes are no protobuf message, or end too early. */
export class NotProtobuf extends Error {}

/** Wire types: how a field is encoded. The others are of eight bytes (1) and of four (5). */
export const VARINT = 0;
/** Bytes with their length before them. */
export const BYTES = 2;

/**
 * The largest field number. Readers in C++ keep 32 bits of a tag and drop the rest, so they would take a larger number for
 * another field. A file could then show this reader other content than ONNX Runtime reads.
 */
const MAX_NUMBER = 2 ** 29 - 1;

export interface Field {
  readonly number: number;
  /** The field's wire type. */
  readonly wire: number;
  /** The value of a varint, as far as a double holds it. */
  readonly value: number;
  /** Offset of its content. */
  readonly start: number;
  readonly end: number;
}

/** Returns the field that begins at `at`; the next begins at its end. Throws NotProtobuf. @param end of the message */
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

/** Seven bits a byte, the lowest first. A negative number is one of 2^63 or more. Throws NotProtobuf. */
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

/** How many varints lie there one after the other. */
export function countVarints(bytes: Buffer, start: number, end: number): number {
  let count = 0;
  for (let at = start; at < end; at++) if ((bytes[at] ?? 0) < 0x80) count++;
  return count;
}

function endsTooEarly(): NotProtobuf {
  return new NotProtobuf('it ends in the middle of a field (truncated, perhaps)');
}
