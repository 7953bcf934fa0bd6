/**
 * Converts half-precision floats to their 16 bits and back. Children use the bits, since Node before 24 has no
 * Float16Array.
 */

const HIDDEN_BIT = 0x400;
const SIGN = 0x8000;
const INFINITY = 0x7c00;
const NAN = 0x7e00;
/** The smallest normal float16. Below it, each float16 is a multiple of the smallest. */
const LEAST_NORMAL = 2 ** -14;
const SMALLEST = 2 ** -24;
/** The first value that rounds to infinity. */
const TOO_LARGE = 65_520;

/**
 * Returns the bits of the nearest float16; of two, the even one. The double is rounded only once, not by way of a
 * float32.
 */
export function toHalfBits(value: number): number {
  if (Number.isNaN(value)) return NAN;
  const sign = value < 0 || Object.is(value, -0) ? SIGN : 0;
  const size = Math.abs(value);
  if (size >= TOO_LARGE) return sign | INFINITY;
  if (size < LEAST_NORMAL) return sign | nearestEven(size / SMALLEST);
  const exponent = exponentOf(size);
  // A mantissa that rounds up to two carries into the exponent, which is correct.
  return sign | (((exponent + 15) << 10) + nearestEven((size / 2 ** exponent - 1) * HIDDEN_BIT));
}

/** Returns the number for the bits of a float16. */
export function fromHalfBits(bits: number): number {
  const sign = bits & SIGN ? -1 : 1;
  const exponent = (bits & INFINITY) >> 10;
  const fraction = bits & (HIDDEN_BIT - 1);
  if (exponent === 0) return sign * fraction * SMALLEST;
  if (exponent === 31) return fraction === 0 ? sign * Number.POSITIVE_INFINITY : Number.NaN;
  return sign * (HIDDEN_BIT + fraction) * 2 ** (exponent - 25);
}

/** Returns the exponent. At a power of two, rounding may put the logarithm on the wrong side. */
function exponentOf(size: number): number {
  const near = Math.floor(Math.log2(size));
  if (2 ** near > size) return near - 1;
  return 2 ** (near + 1) <= size ? near + 1 : near;
}

function nearestEven(value: number): number {
  const below = Math.floor(value);
  const rest = value - below;
  return rest > 0.5 || (rest === 0.5 && below % 2 === 1) ? below + 1 : below;
}
