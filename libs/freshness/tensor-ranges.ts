/** The ranges of the element types of tensors, for the code that fills tensors and the code that checks values. */
import type { TensorType } from './predictor.ts';

/** The range of a type: `low` and `high` are the nearest values outside it. */
export interface TensorRange {
  readonly low: number;
  readonly high: number;
  readonly whole: boolean;
}

const whole = (low: number, high: number): TensorRange => ({ low, high, whole: true });
const symmetric = (high: number): TensorRange => ({ low: -high, high, whole: false });

export const TENSOR_RANGES: Readonly<Record<Exclude<TensorType, 'string'>, TensorRange>> = {
  // The first value that rounds to infinity: half a unit in the last place above the largest value.
  float16: symmetric(65_520),
  float32: symmetric(2 ** 128 - 2 ** 103),
  float64: symmetric(Number.POSITIVE_INFINITY),
  int8: whole(-129, 128),
  int16: whole(-32_769, 32_768),
  int32: whole(-2_147_483_649, 2_147_483_648),
  uint8: whole(-1, 256),
  uint16: whole(-1, 65_536),
  uint32: whole(-1, 4_294_967_296),
  // Features are passed as doubles, which are exact up to 2^53.
  int64: whole(-(2 ** 53), 2 ** 53),
  uint64: whole(-1, 2 ** 53),
  bool: whole(-1, 2),
};

/** Returns whether a tensor of this type can hold a number. Only floats can hold NaN. */
export function holdsNumber(type: TensorType, value: number): boolean {
  if (type === 'string') return false;
  const range = TENSOR_RANGES[type];
  if (Number.isNaN(value)) return !range.whole;
  return value > range.low && value < range.high && (!range.whole || Number.isInteger(value));
}
