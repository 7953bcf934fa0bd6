/** Converts values of a tensor to a JSON array and back. Arrays may be flat or nested, and float16 are numbers. */
import { invalidInput, TandemError } from '@tandem/freshness/errors';
import type { TensorType } from '@tandem/freshness/predictor';
import { holdsNumber } from '@tandem/freshness/tensor-ranges';
import type { TensorData, WireTensor } from '@tandem/inference/process/protocol';
import { fromHalfBits, toHalfBits } from '@tandem/inference/tensors/half-precision';
import { allocate } from './binary-data.ts';
import { datatypeOf, otherCount, shown } from './messages.ts';

/**
 * Returns nested values as a flat array, and a flat array unchanged. Throws `invalid_input` if the nesting does not
 * match the shape.
 * @param field the path of the data, for errors
 */
export function flatten(data: readonly unknown[], shape: readonly number[], field: string): readonly unknown[] {
  return data.some(Array.isArray) ? unnest(data, shape, field) : data;
}

function unnest(data: readonly unknown[], [size, ...inner]: readonly number[], field: string): readonly unknown[] {
  if (data.length !== size)
    throw invalidInput(field, `has ${data.length} entries`, `send ${size ?? 0} entries, as in the shape`);
  if (inner.length === 0) return data;
  return data.flatMap((entry, i) => {
    const at = `${field}[${i}]`;
    if (Array.isArray(entry)) return unnest(entry, inner, at);
    throw invalidInput(
      at,
      `is ${shown(entry)}`,
      'send an array nested as in the shape, or all values in one flat array',
    );
  });
}

/**
 * Reads values in order. Throws `invalid_input`, also for a number that would wrap, round to infinity or lose digits.
 * @param field the path of the data, for errors
 */
export function readJsonData(type: TensorType, data: readonly unknown[], count: number, field: string): TensorData {
  if (data.length !== count) throw otherCount(field, data.length, count);
  if (type === 'string') return data.map((value, i) => textIn(value, `${field}[${i}]`));
  const out = allocate(type, count) as { [at: number]: number | bigint } & TensorData;
  for (let i = 0; i < count; i++) {
    const value = elementOf(type, data[i]);
    if (value === undefined) throw unfit(type, data[i], `${field}[${i}]`);
    out[i] = value;
  }
  return out;
}

/** Returns the element of a tensor for a value; undefined if the type cannot hold it. */
function elementOf(type: Exclude<TensorType, 'string'>, value: unknown): number | bigint | undefined {
  if (type === 'bool') return typeof value === 'boolean' ? Number(value) : undefined;
  if (typeof value !== 'number' || !holdsNumber(type, value)) return undefined;
  if (type === 'float16') return toHalfBits(value);
  return type === 'int64' || type === 'uint64' ? BigInt(value) : value;
}

function textIn(value: unknown, field: string): string {
  if (typeof value === 'string') return value;
  throw unfit('string', value, field);
}

function unfit(type: TensorType, value: unknown, field: string): TandemError {
  const isLarge = (type === 'int64' || type === 'uint64') && typeof value === 'number' && Number.isInteger(value);
  const remedy = isLarge
    ? 'send the tensor as binary data: a JSON number above 2^53 loses digits'
    : type === 'string'
      ? 'send a text'
      : type === 'bool'
        ? 'send true or false'
        : `send a number that ${datatypeOf(type)} holds`;
  return invalidInput(field, `is ${shown(value)}, which a tensor of ${datatypeOf(type)} cannot hold`, remedy);
}

/**
 * Returns the values as the text of a flat JSON array. Throws `output_unusable` for NaN and infinities, which JSON
 * cannot represent.
 */
export function jsonDataOf({ name, type, data }: WireTensor): string {
  if (type === 'string') return JSON.stringify(data);
  if (type === 'bool') return `[${Array.from(data as Uint8Array, (value) => value === 1).join()}]`;
  if (type === 'int64' || type === 'uint64') return `[${(data as BigInt64Array).join()}]`;
  const numbers = type === 'float16' ? Array.from(data as Uint16Array, fromHalfBits) : (data as Float32Array);
  const at = numbers.findIndex((value) => !Number.isFinite(value));
  if (at < 0) return `[${numbers.join()}]`;
  throw new TandemError(
    'output_unusable',
    `The output ${name} has ${numbers[at]} at index ${at}, which JSON cannot represent.`,
    {
      field: name,
      remedy: 'request the output as binary data, with its parameter binary_data: true',
    },
  );
}
