/**
 * Counts the entries of a `ModelInferRequest` before it is decoded. The decoder creates an object for each entry, and 1
 * MiB can contain half a million empty entries.
 */
import { invalidInput } from '@tandem/freshness/errors';

/** The most inputs, outputs, parameters and raw contents together. */
const MOST_ENTRIES = 4_096;
/** The most entries within those: texts, 64-bit integers, parameters, sizes. */
const MOST_VALUES = 65_536;

/** A type of message: the numbers of its fields that contain messages or packed 64-bit integers. */
interface Form {
  readonly [field: number]: Form | 'packed';
}

const PARAMETER: Form = {};
const CONTENTS: Form = { 3: 'packed', 5: 'packed' };
const TENSOR: Form = { 3: 'packed', 4: PARAMETER, 5: CONTENTS };
const OUTPUT: Form = { 2: PARAMETER };
const REQUEST: Form = { 4: PARAMETER, 5: TENSOR, 6: OUTPUT };

/** Checks a message. Throws `invalid_input` if it has too many entries, and a RangeError if it cannot be read. */
export function countEntries(message: Uint8Array): void {
  const entries = countIn(message, 0, message.length, REQUEST);
  if (entries.outer > MOST_ENTRIES) {
    const remedy = 'send the values of each input as one entry of raw_input_contents';
    throw invalidInput('The message', `has more than ${MOST_ENTRIES} inputs, outputs, parameters and contents`, remedy);
  }
  if (entries.inner > MOST_VALUES) {
    throw invalidInput(
      'The message',
      `has more than ${MOST_VALUES} typed values and parameters`,
      'send raw_input_contents',
    );
  }
}

function countIn(bytes: Uint8Array, start: number, end: number, form: Form): { outer: number; inner: number } {
  const entries = { outer: 0, inner: 0 };
  for (let at = start; at < end; ) {
    const [tag, afterTag] = varintAt(bytes, at);
    const [size, from] = (tag & 7) === 2 ? varintAt(bytes, afterTag) : [sizeOf(bytes, tag & 7, afterTag), afterTag];
    at = from + size;
    if (at > end) throw new RangeError('a field ends beyond its message');
    entries.outer++;
    const inner = form[tag >>> 3];
    if ((tag & 7) !== 2 || inner === undefined) continue;
    if (inner === 'packed') entries.inner += integersIn(bytes, from, at);
    else {
      const found = countIn(bytes, from, at, inner);
      entries.inner += found.outer + found.inner;
    }
  }
  return entries;
}

/** Returns the number of bytes of a field without a length: an integer, 8 bytes, 4 bytes, or a group tag. */
function sizeOf(bytes: Uint8Array, wireType: number, at: number): number {
  if (wireType === 0) return varintAt(bytes, at)[1] - at;
  return wireType === 1 ? 8 : wireType === 5 ? 4 : 0;
}

/** Counts integers. The last byte of each integer is below 128. */
function integersIn(bytes: Uint8Array, start: number, end: number): number {
  let integers = 0;
  for (let at = start; at < end; at++) if ((bytes[at] ?? 0) < 128) integers++;
  return integers;
}

/** Returns the lower 32 bits of the integer, and the offset of its end. */
function varintAt(bytes: Uint8Array, start: number): [value: number, end: number] {
  let value = 0;
  for (let at = start; at < start + 10; at++) {
    const byte = bytes[at];
    if (byte === undefined) break;
    if (at < start + 5) value |= (byte & 127) << (7 * (at - start));
    if (byte < 128) return [value >>> 0, at + 1];
  }
  throw new RangeError('an integer has no end');
}
