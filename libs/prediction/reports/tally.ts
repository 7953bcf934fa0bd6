/** Sums over all users or over one segment, added row by row and read at the end. */
import type { Coverage, DecisionFlips, OutputShift } from './generation-report.ts';

export class UserTally {
  #both = 0;
  #added = 0;
  #gone = 0;

  add(isBefore: boolean, isNow: boolean): void {
    if (isBefore && isNow) this.#both++;
    else if (isNow) this.#added++;
    else this.#gone++;
  }

  get users(): number {
    return this.#both + this.#added + this.#gone;
  }

  coverage(): Coverage {
    const [both, added, gone] = [this.#both, this.#added, this.#gone];
    return { before: both + gone, now: both + added, both, added, gone };
  }
}

/** A tally of one numeric output. */
export class ShiftTally {
  readonly #ends: Float64Array;
  readonly #before: Side;
  readonly #now: Side;
  readonly #sizes = new DeltaSketch();
  #both = 0;
  #deltas = 0;
  #sizeSum = 0;

  /**
   * Creates an empty tally.
   * @param ends the upper ends of the classes
   */
  constructor(ends: Float64Array) {
    this.#ends = ends;
    this.#before = { counts: new Float64Array(ends.length + 1), users: 0, sum: 0 };
    this.#now = { counts: new Float64Array(ends.length + 1), users: 0, sum: 0 };
  }

  addBefore(value: number): void {
    count(this.#before, this.#ends, value);
  }

  addNow(value: number): void {
    count(this.#now, this.#ends, value);
  }

  /** Adds the delta of a user in both generations, after both values were added. */
  addDelta(delta: number): void {
    const size = Math.abs(delta);
    this.#both++;
    this.#deltas += delta;
    this.#sizeSum += size;
    this.#sizes.add(size);
  }

  shift(): OutputShift {
    const both = Math.max(1, this.#both);
    return {
      psi: rounded(psi(this.#before.counts, this.#now.counts)),
      meanBefore: rounded(this.#before.sum / Math.max(1, this.#before.users)),
      meanNow: rounded(this.#now.sum / Math.max(1, this.#now.users)),
      meanDelta: rounded(this.#deltas / both),
      meanAbsoluteDelta: rounded(this.#sizeSum / both),
      p50AbsoluteDelta: rounded(this.#sizes.quantile(0.5)),
      p99AbsoluteDelta: rounded(this.#sizes.quantile(0.99)),
      largestDelta: rounded(this.#sizes.largest),
      changed: rounded(this.#sizes.changed / both),
    };
  }
}

interface Side {
  readonly counts: Float64Array;
  users: number;
  sum: number;
}

function count(side: Side, ends: Float64Array, value: number): void {
  const at = classOf(ends, value);
  side.counts[at] = (side.counts[at] as number) + 1;
  side.users++;
  side.sum += value;
}

/** The counts of the decision's flips. */
export class FlipTally {
  #both = 0;
  #up = 0;
  #down = 0;

  add(was: boolean, is: boolean): void {
    this.#both++;
    if (was === is) return;
    if (is) this.#up++;
    else this.#down++;
  }

  flips(): Pick<DecisionFlips, 'up' | 'down' | 'rate'> {
    const [up, down] = [this.#up, this.#down];
    return { up, down, rate: rounded((up + down) / Math.max(1, this.#both)) };
  }
}

/** Sums over all users, or over one segment. */
export interface Sums {
  readonly users: UserTally;
  /** The shift of the decision's output, else of the first output with one number a user; null if there is none. */
  readonly shift: ShiftTally | null;
  /** The flips of the decision; null if the predictor declares no decision. */
  readonly flips: FlipTally | null;
}

/** Rounds to six digits, the precision of float32. */
export function rounded(value: number): number {
  return Number(value.toPrecision(6));
}

// The distance of two distributions is measured in one pass. Values are counted in classes that each hold a twentieth
// of the currently served users. The population stability index (PSI) is the sum over classes of (now - before) ×
// ln(now / before), where both are shares of the users. By convention a PSI below 0.1 is no shift, above 0.25 a large
// shift. Classes come from a sample, counts from all users.

const CLASSES = 20;

/**
 * Returns the upper ends of all classes except the last, in rising order; each end belongs to its class. Ties make
 * fewer classes. If many users share the least value, lower values form a separate class.
 * @param sample currently served values, in any order
 */
export function classEnds(sample: Float64Array): Float64Array {
  const sorted = sample.toSorted();
  const ends = new Set<number>();
  for (let i = 1; i < CLASSES; i++) {
    const end = sorted[Math.ceil((i * sorted.length) / CLASSES) - 1];
    if (end !== undefined) ends.add(end);
  }
  const [least] = sorted;
  const below =
    least !== undefined && ends.has(least) ? [least - Math.max(Number.MIN_VALUE, Math.abs(least) * 2 ** -50)] : [];
  return Float64Array.from([...below, ...ends]);
}

/** Returns the class of a value, from 0 to `ends.length`. */
export function classOf(ends: Float64Array, value: number): number {
  let [low, high] = [0, ends.length];
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((ends[middle] as number) < value) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** Half a user is added to each class, since an empty class would make the PSI infinite. */
const PRIOR = 0.5;

/** Returns the PSI of counts by class; 0 if one side has no users. */
export function psi(before: Float64Array, now: Float64Array): number {
  const [beforeSum, nowSum] = [sumOf(before), sumOf(now)];
  if (beforeSum === 0 || nowSum === 0) return 0;
  const prior = PRIOR * before.length;
  let index = 0;
  for (let i = 0; i < before.length; i++) {
    const was = ((before[i] as number) + PRIOR) / (beforeSum + prior);
    const is = ((now[i] as number) + PRIOR) / (nowSum + prior);
    index += (is - was) * Math.log(is / was);
  }
  return index;
}

function sumOf(counts: Float64Array): number {
  return counts.reduce((sum, count) => sum + count, 0);
}

// Quantiles of sizes are computed in constant memory and one pass. Sizes are counted in classes that are 1/32 of a
// power of two wide, taken from the bits of the number. A quantile is the mean of its class: exact for equal sizes,
// else at most 3 % off. DDSketch does the same with a logarithm: https://arxiv.org/abs/1908.10693

/** The bits of the fraction that distinguish classes. The 64 powers of two from 2^-30 have separate classes. */
const FRACTION_BITS = 5;
const LEAST_EXPONENT = -30;
const DELTA_CLASSES = 64 << FRACTION_BITS;
const FIRST = (1023 + LEAST_EXPONENT) << FRACTION_BITS;

const double = new Float64Array(1);
/** Little-endian: the sign, the exponent and 20 bits of the fraction are in the second word. */
const words = new Uint32Array(double.buffer);

export class DeltaSketch {
  readonly #counts = new Uint32Array(DELTA_CLASSES);
  readonly #sums = new Float64Array(DELTA_CLASSES);
  #zeros = 0;
  #total = 0;
  #largest = 0;

  /**
   * Counts a size.
   * @param size a size of at least 0
   */
  add(size: number): void {
    this.#total++;
    if (size === 0) {
      this.#zeros++;
      return;
    }
    if (size > this.#largest) this.#largest = size;
    double[0] = size;
    const at = Math.min(DELTA_CLASSES - 1, Math.max(0, ((words[1] as number) >>> (20 - FRACTION_BITS)) - FIRST));
    this.#counts[at] = (this.#counts[at] as number) + 1;
    this.#sums[at] = (this.#sums[at] as number) + size;
  }

  get largest(): number {
    return this.#largest;
  }

  /** The number of sizes that were not 0. */
  get changed(): number {
    return this.#total - this.#zeros;
  }

  /** Returns the size that the given share of all sizes does not exceed; 0 if there are none. */
  quantile(share: number): number {
    const rank = Math.ceil(share * this.#total);
    let passed = this.#zeros;
    if (passed >= rank) return 0;
    for (let at = 0; at < DELTA_CLASSES; at++) {
      const count = this.#counts[at] as number;
      passed += count;
      if (passed >= rank) return (this.#sums[at] as number) / count;
    }
    return this.#largest;
  }
}
