/** Sums over all users or over one segment, added row by row and read at the end. */
import { ClassTable, type CountedClasses, rounded, type ShiftIndex, Z } from './distribution.ts';
import type { Coverage, DecisionFlips, OutputShift } from './generation-report.ts';

/** A count of users by the generations that they are in. */
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
  readonly #classes: ClassTable;
  readonly #first: ClassTable | null;
  readonly #before: Side = { users: 0, sum: 0 };
  readonly #now: Side = { users: 0, sum: 0 };
  readonly #sizes = new DeltaSketch();
  #both = 0;
  #deltas = 0;
  #sizeSum = 0;
  #sizeSquares = 0;

  /**
   * Creates an empty tally.
   * @param ends the upper ends of the classes
   * @param first the classes of the model version's first generation, to compare the new generation with as well
   */
  constructor(ends: Float64Array, first?: CountedClasses) {
    this.#classes = new ClassTable(ends);
    this.#first = first ? new ClassTable(Float64Array.from(first.ends), first.counts) : null;
  }

  /** Adds a user of at least one generation. A value counts only if the user is in its generation. */
  add(isBefore: boolean, before: number, isNow: boolean, now: number): void {
    this.#classes.add(isBefore, before, isNow, now);
    if (isBefore) count(this.#before, before);
    if (!isNow) return;
    count(this.#now, now);
    this.#first?.add(false, 0, true, now);
    if (!isBefore) return;
    const size = Math.abs(now - before);
    this.#both++;
    this.#deltas += now - before;
    this.#sizeSum += size;
    this.#sizeSquares += size * size;
    this.#sizes.add(size);
  }

  shift(): OutputShift & { readonly first?: ShiftIndex } {
    const both = Math.max(1, this.#both);
    return {
      ...this.#classes.index(),
      meanBefore: rounded(this.#before.sum / Math.max(1, this.#before.users)),
      meanNow: rounded(this.#now.sum / Math.max(1, this.#now.users)),
      meanDelta: rounded(this.#deltas / both),
      meanAbsoluteDelta: rounded(this.#sizeSum / both),
      meanAbsoluteDeltaLower: rounded(leastMean(this.#both, this.#sizeSum, this.#sizeSquares)),
      p50AbsoluteDelta: rounded(this.#sizes.quantile(0.5)),
      p99AbsoluteDelta: rounded(this.#sizes.quantile(0.99)),
      largestDelta: rounded(this.#sizes.largest),
      changed: rounded(this.#sizes.changed / both),
      ...(this.#first ? { first: this.#first.index() } : {}),
    };
  }

  /** Returns the classes of the previous generation with the counts of its users. */
  classesBefore(): CountedClasses {
    return this.#classes.before();
  }
}

interface Side {
  users: number;
  sum: number;
}

function count(side: Side, value: number): void {
  side.users++;
  side.sum += value;
}

/**
 * Returns the lower confidence bound of a mean size. One more size of 0 keeps the deviation of equal sizes above 0: a
 * few users may all lack a rare size.
 */
function leastMean(users: number, sum: number, squares: number): number {
  const mean = sum / (users + 1);
  const variance = Math.max(0, squares / (users + 1) - mean * mean);
  return Math.max(0, mean - Z * Math.sqrt(variance / Math.max(1, users)));
}

/** Returns the lower confidence bound of a Poisson count (Byar: Rothman and Boice, "Epidemiologic Analysis", 1979). */
function leastCount(count: number): number {
  return count === 0 ? 0 : count * Math.max(0, 1 - 1 / (9 * count) - Z / (3 * Math.sqrt(count))) ** 3;
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

  flips(): Omit<DecisionFlips, 'output' | 'threshold'> {
    const [up, down] = [this.#up, this.#down];
    const users = Math.max(1, this.#both);
    return { up, down, rate: rounded((up + down) / users), rateLower: rounded(leastCount(up + down) / users) };
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

/** A sketch of the quantiles of sizes. */
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
