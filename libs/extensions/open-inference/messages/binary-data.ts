/**
 * Converts values of a tensor to bytes and back: little-endian, row-major, without padding. A text is an unsigned
 * 32-bit length and UTF-8. gRPC's raw contents and the binary extension over HTTP use this form.
 */
import { invalidInput } from '@tandem/freshness/errors';
import type { TensorType } from '@tandem/freshness/predictor';
import type { TensorData } from '@tandem/inference/process/protocol';
import { FORMS, otherCount } from './messages.ts';

type Numbers = Exclude<TensorData, readonly string[]>;

interface NumbersClass {
  readonly BYTES_PER_ELEMENT: number;
  new (buffer: ArrayBufferLike, byteOffset: number, length: number): Numbers;
  new (length: number): Numbers;
}

const arrayOf = (type: Exclude<TensorType, 'string'>): NumbersClass => FORMS[type].array;

/** Returns an array of `count` zeros. */
export function allocate(type: Exclude<TensorType, 'string'>, count: number): Numbers {
  return new (arrayOf(type))(count);
}

/**
 * Reads values from bytes. Numbers share the memory of the bytes if these are aligned. Throws `invalid_input`.
 * @param field the path of the data, for errors
 */
export function readBinary(type: TensorType, bytes: Uint8Array, count: number, field: string): TensorData {
  if (type === 'string') return readTexts(bytes, count, field);
  const Numbers = arrayOf(type);
  const size = Numbers.BYTES_PER_ELEMENT;
  if (bytes.length !== count * size) {
    const remedy = `send ${count * size} bytes: ${count} values of ${size} bytes each`;
    throw invalidInput(field, `has ${bytes.length} bytes`, remedy);
  }
  // `slice` is not used, since `slice` of a Buffer shares its memory.
  const { buffer, byteOffset } = bytes.byteOffset % size === 0 ? bytes : new Uint8Array(bytes);
  const values = new Numbers(buffer, byteOffset, count);
  if (type === 'bool') checkBooleans(values as Uint8Array, field);
  return values;
}

/** Returns the bytes of values. The bytes of numbers share the memory of the values. */
export function writeBinary(data: TensorData): Buffer {
  if ('buffer' in data) return Buffer.from(data.buffer as ArrayBuffer, data.byteOffset, data.byteLength);
  const parts = data.flatMap((text) => {
    const bytes = Buffer.from(text, 'utf8');
    const length = Buffer.allocUnsafe(4);
    length.writeUInt32LE(bytes.length);
    return [length, bytes];
  });
  return Buffer.concat(parts);
}

function readTexts(bytes: Uint8Array, count: number, field: string): string[] {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  const texts: string[] = [];
  let at = 0;
  while (at < bytes.length) {
    const start = at + 4;
    const end = start <= bytes.length ? start + view.getUint32(at, true) : start;
    if (end > bytes.length) {
      const remedy = 'send each text as its length in 4 bytes, little-endian, and that many bytes';
      throw invalidInput(field, `ends within text ${texts.length}`, remedy);
    }
    texts.push(decodeText(bytes.subarray(start, end), `${field}[${texts.length}]`));
    at = end;
  }
  if (texts.length !== count) throw otherCount(field, texts.length, count);
  return texts;
}

const UTF_8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/** Returns a text. Throws `invalid_input` for bytes that are not UTF-8. */
export function decodeText(bytes: Uint8Array, field: string): string {
  try {
    return UTF_8.decode(bytes);
  } catch {
    throw invalidInput(field, 'is not UTF-8', 'encode texts in UTF-8');
  }
}

function checkBooleans(values: Uint8Array, field: string): void {
  const at = values.findIndex((value) => value > 1);
  if (at >= 0) throw invalidInput(`${field}[${at}]`, `is ${values[at]}`, 'send 0 or 1');
}
