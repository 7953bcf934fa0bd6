/**
 * How far two distributions are apart, in one pass: values are counted in classes that each hold a twentieth of the users
 * served now, and the population stability index (PSI) is the sum over classes of (now - before) × ln(now / before), of
 * shares. By custom below 0.1 is no shift, above 0.25 a large one. Classes are read off a sample, counts are of everybody.
 */

export const CLASSES = 20;

/**
 * The upper ends of all classes but the last, ascending, each belonging to its class. Ties make fewer of them. Where many
 * users have the least value there is, what lies below it is a class of its own.
 * @param sample of values served now, in any order
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

/** The class of a value, from 0 to `ends.length`. */
export function classOf(ends: Float64Array, value: number): number {
  let [low, high] = [0, ends.length];
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((ends[middle] as number) < value) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** Half a user in each class beside those counted: an empty class would make it infinite. */
const PRIOR = 0.5;

/** The PSI of counts by class; 0 where one side has nobody. */
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
