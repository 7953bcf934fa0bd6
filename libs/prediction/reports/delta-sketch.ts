/**
 * Quantiles of sizes in constant memory and one pass: they are counted in classes 1/32 of a power of two wide, taken from
 * the bits of the number itself, and a quantile is the mean of its class (so that equal sizes give it exactly; at most
 * 3 % off else). As DDSketch does with a logarithm: https://arxiv.org/abs/1908.10693
 */

/** Bits of the fraction that tell classes apart, and the 64 powers of two from 2^-30 on that have classes of their own. */
const FRACTION_BITS = 5;
const LEAST_EXPONENT = -30;
const CLASSES = 64 << FRACTION_BITS;
const FIRST = (1023 + LEAST_EXPONENT) << FRACTION_BITS;

const double = new Float64Array(1);
/** Little-endian: the sign, the exponent and 20 bits of the fraction are in the second word. */
const words = new Uint32Array(double.buffer);

export class DeltaSketch {
  readonly #counts = new Uint32Array(CLASSES);
  readonly #sums = new Float64Array(CLASSES);
  #zeros = 0;
  #total = 0;
  #largest = 0;

  /** @param size at least 0 */
  add(size: number): void {
    this.#total++;
    if (size === 0) {
      this.#zeros++;
      return;
    }
    if (size > this.#largest) this.#largest = size;
    double[0] = size;
    const at = Math.min(CLASSES - 1, Math.max(0, ((words[1] as number) >>> (20 - FRACTION_BITS)) - FIRST));
    this.#counts[at] = (this.#counts[at] as number) + 1;
    this.#sums[at] = (this.#sums[at] as number) + size;
  }

  get largest(): number {
    return this.#largest;
  }

  /** Sizes that were not 0. */
  get changed(): number {
    return this.#total - this.#zeros;
  }

  /** The size that a share of all does not exceed; 0 where there are none. */
  quantile(share: number): number {
    const rank = Math.ceil(share * this.#total);
    let passed = this.#zeros;
    if (passed >= rank) return 0;
    for (let at = 0; at < CLASSES; at++) {
      const count = this.#counts[at] as number;
      passed += count;
      if (passed >= rank) return (this.#sums[at] as number) / count;
    }
    return this.#largest;
  }
}
