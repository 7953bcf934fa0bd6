/** The values of tensors, cut and joined; a tensor's own rows are `width` of them each. */
import type { TensorData } from './protocol.ts';

/** A part of a tensor's values; typed arrays share their memory with the whole. */
export function cut(data: TensorData, start: number, end: number): TensorData {
  return Array.isArray(data) ? data.slice(start, end) : (data as Float32Array).subarray(start, end);
}

/** The values of several tensors of one element type. */
export function joinData(several: readonly TensorData[]): TensorData {
  const [first] = several;
  if (first === undefined || several.length === 1) return first ?? [];
  if (Array.isArray(first)) return several.flatMap((texts) => texts as readonly string[]);
  const arrays = several as readonly Float32Array[];
  const whole = new (first.constructor as Float32ArrayConstructor)(
    arrays.reduce((sum, array) => sum + array.length, 0),
  );
  let at = 0;
  for (const array of arrays) {
    whole.set(array, at);
    at += array.length;
  }
  return whole;
}
