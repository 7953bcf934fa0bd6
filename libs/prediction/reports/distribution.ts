/**
 * The distance of two distributions, measured in one pass. Values are counted in classes that each hold a twentieth of
 * the currently served users. The population stability index (PSI) is the sum over classes of (now - before) × ln(now /
 * before), where both are shares of the users. By convention a PSI below 0.1 is no shift, above 0.25 a large shift.
 * Classes come from a sample, counts from all users.
 *
 * Without any shift the sum is on average about 2 × 19 / users for independent users, and less for the same users with
 * similar values. The table of users by their class before and now gives the covariances of the differences of shares,
 * as in the test of A. Stuart ("A test for homogeneity of the marginal distributions in a two-way classification",
 * Biometrika 42, 1955). They give the expected sum, which is subtracted, and its variance.
 */

/** The quantile of the normal distribution at the one-sided confidence of 99 % of every lower bound in a report. */
export const Z = 2.326;

const CLASSES = 20;
/** Neighbouring classes are merged until each has this many users, of both generations together. */
const LEAST_USERS = 20;

/** Half a user is added to each class, since an empty class would make the PSI infinite. */
const PRIOR = 0.5;

/** Rounds to six digits, the precision of float32. */
export function rounded(value: number): number {
  return Number(value.toPrecision(6));
}

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

/** The classes of a generation, as a report stores them: the upper ends of all but the last, and the users of each. */
export interface CountedClasses {
  readonly ends: readonly number[];
  readonly counts: readonly number[];
}

/** The PSI without its expectation from chance, and its lower confidence bound of 99 %; neither is below 0. */
export interface ShiftIndex {
  readonly psi: number;
  readonly psiLower: number;
}

/** The counts of users by their class before and now. */
export class ClassTable {
  readonly #ends: Float64Array;
  /** A row for each class before, a column for each class now; the last are for users who are not in the generation. */
  readonly #counts: number[][];

  /**
   * Creates a table.
   * @param ends the upper ends of all classes except the last
   * @param users the users of each class before, if their classes now are unknown; they count as other users than those
   *   of the generation now
   */
  constructor(ends: Float64Array, users: readonly number[] = []) {
    this.#ends = ends;
    const none = new Array<number>(ends.length + 1).fill(0);
    this.#counts = Array.from({ length: ends.length + 2 }, (_, i) => [...none, at(users, i)]);
  }

  /** Adds a user of at least one generation. */
  add(isBefore: boolean, before: number, isNow: boolean, now: number): void {
    const absent = this.#ends.length + 1;
    const row = this.#counts[isBefore ? classOf(this.#ends, before) : absent] as number[];
    const column = isNow ? classOf(this.#ends, now) : absent;
    row[column] = (row[column] as number) + 1;
  }

  before(): CountedClasses {
    return { ends: [...this.#ends], counts: this.#counts.slice(0, -1).map(sumOf) };
  }

  index(): ShiftIndex {
    return shiftIndex(merged(this.#counts));
  }
}

/** Merges neighbouring classes with few users, since the logarithm of a small count varies too much. */
function merged(table: readonly (readonly number[])[]): number[][] {
  const users = table.slice(0, -1).map((row, i) => sumOf(row) + sumOf(table.map((other) => at(other, i))));
  let [left, inClass, next] = [sumOf(users), 0, 0];
  const becomes = users.map((count) => {
    const to = next;
    left -= count;
    inClass += count;
    if (inClass >= LEAST_USERS && left >= LEAST_USERS) [next, inClass] = [next + 1, 0];
    return to;
  });
  const absent = (becomes.at(-1) ?? 0) + 1;
  becomes.push(absent);
  const sums = Array.from({ length: absent + 1 }, () => new Array<number>(absent + 1).fill(0));
  table.forEach((row, i) => {
    const to = sums[at(becomes, i)] ?? [];
    for (const [j, count] of row.entries()) to[at(becomes, j)] = at(to, at(becomes, j)) + count;
  });
  return sums;
}

/** Returns the index of a table; 0 if one generation has no users. */
function shiftIndex(table: readonly (readonly number[])[]): ShiftIndex {
  const before = table.slice(0, -1).map(sumOf);
  const now = before.map((_, i) => sumOf(table.map((row) => at(row, i))));
  const [usersBefore, usersNow] = [sumOf(before), sumOf(now)];
  if (usersBefore === 0 || usersNow === 0) return { psi: 0, psiLower: 0 };
  const [p, q] = [sharesOf(before), sharesOf(now)];
  const sum = sumOf(q.map((share, i) => (share - at(p, i)) * Math.log(share / at(p, i))));
  const { mean, variance } = chanceOf(table, before, now);
  // The 99 % quantile of chance alone: a scaled chi-squared with the same mean and variance, by the cube root of Wilson
  // and Hilferty. `spread` is 2 / (9 × degrees of freedom).
  const spread = mean > 0 ? variance / (9 * mean * mean) : 0;
  const chance = mean * (1 - spread + Z * Math.sqrt(spread)) ** 3 - mean;
  // The delta method: the variance of the slope at each user's classes. The slopes come from shares that vary by chance,
  // which adds twice the variance of chance.
  const [was, is] = [slopesOf(p, q), slopesOf(q, p)];
  const slopeOf = (i: number, j: number) => at(was, i) / usersBefore + at(is, j) / usersNow;
  const squares = table.map((row, i) => sumOf(row.map((users, j) => users * slopeOf(i, j) ** 2)));
  const slope = sumOf(squares) - sum ** 2 / sumOf(table.map(sumOf)) - 2 * variance;
  const lower = sum - mean - Math.hypot(chance, Z * Math.sqrt(Math.max(0, slope)));
  return { psi: rounded(Math.max(0, sum - mean)), psiLower: rounded(Math.max(0, lower)) };
}

/** Returns mean and variance of the index if chance alone moves users between classes. */
function chanceOf(table: readonly (readonly number[])[], before: readonly number[], now: readonly number[]) {
  const [was, is] = [1 / sumOf(before), 1 / sumOf(now)];
  const shares = sharesOf(before).map((share, i) => (share + at(sharesOf(now), i)) / 2);
  const both = sumOf(table.slice(0, -1).map((row) => sumOf(row.slice(0, -1))));
  const level = was + is - 2 * both * was * is;
  let [mean, variance] = [0, 0];
  for (let i = 0; i < shares.length; i++) {
    for (let j = 0; j < shares.length; j++) {
      const own = i === j ? at(before, i) * was * was + at(now, i) * is * is : 0;
      const covariance = own - (at(table[i], j) + at(table[j], i)) * was * is - level * at(shares, i) * at(shares, j);
      const scaled = covariance / Math.sqrt(at(shares, i) * at(shares, j));
      if (i === j) mean += scaled;
      variance += 2 * scaled * scaled;
    }
  }
  return { mean: Math.max(0, mean), variance };
}

/** Returns the slopes of the index by the shares `own`. */
function slopesOf(own: readonly number[], other: readonly number[]): number[] {
  return own.map((share, i) => Math.log(share / at(other, i)) + 1 - at(other, i) / share);
}

function sharesOf(counts: readonly number[]): number[] {
  const total = sumOf(counts) + PRIOR * counts.length;
  return counts.map((count) => (count + PRIOR) / total);
}

function sumOf(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0);
}

function at(values: readonly number[] | undefined, i: number): number {
  return values?.[i] ?? 0;
}
